// Package sim is an imagined place: nodes with GPUs that do not exist, jobs that do nothing but take
// their time, a clock that jumps. It carries out plans as the real places do, including what goes wrong:
// exit codes, lost nodes, dead agents, saves that take long.
//
// Time passes only while somebody waits in [Sim.Changes]: the next event is taken from a heap, the clock
// jumps to it, and what it changed is returned. The same calls give the same history. The place checks
// what it is told to do against books of its own, which share nothing with the planner's account, and
// remembers each decision that would have put two jobs in one seat ([Sim.Violations]).
//
// [Options] are for replays: machines that break by a seeded clock, and instants that are one cycle.
package sim
