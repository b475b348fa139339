// Package journal writes down what the planner saw and decided: one line of JSON per cycle with what
// changed and the plan, and from time to time the whole snapshot, so that any moment can be planned again.
//
// It is bounded: files of a limited size, a limited number of them, the oldest goes first; each file begins
// with a snapshot, so every file can be read by itself. A disk that fails never stops anybody: it is told
// once, lines are dropped, and writing goes on when the disk does.
//
// A journal holds no secrets: values are references in the job file, and stay references here.
package journal
