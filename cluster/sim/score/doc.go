// Package score turns what happened in an imagined place into the figures by which scheduling is judged: how long
// jobs took from submission to end, how much of that they waited, how busy the devices were, how often somebody was
// evicted, how good the estimates were.
//
//	tally := score.New(...)                       one per run
//	sim.Options{Tell: tally.Observe}              it is told what happens
//	tally.Estimated(job, at, estimate)            and what was foretold
//	tally.Figures()                               after the run
//
// docs/simulate.md defines each figure.
package score
