// Package sim is an imagined place: nodes with GPUs that do not exist, jobs that do nothing but take
// their time, a clock that jumps. It carries out plans as the real places do, including what goes wrong:
// exit codes, lost nodes, dead agents, saves that take long.
//
// Time passes only while somebody waits in [Sim.Changes]: the next event is taken from a heap, the clock
// jumps to it, and what it changed is returned. The same calls give the same history. The place checks
// what it is told to do against its own books, kept the dumb way, and remembers each decision that would
// have put two jobs in one seat ([Sim.Violations]).
package sim
