// Package elastic decides what follows when a round of an attempt has ended: another round, and when, or the end.
//
// It takes values and returns values: [Decide] is given how the round ended and what was left of the budget, and
// says what to do; the launcher does it. The laws: the budget is never overdrawn, whatever ends in whatever
// order; an ending that the job's file does not name is not answered; a stop always wins.
package elastic
