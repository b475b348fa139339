// Package sched decides who runs where. It is pure: a [nexus.Snapshot] or [nexus.Delta] goes in, a
// [nexus.Plan] comes out, and the same input gives the same plan in whatever order it is told.
//
// [Planner.Step] reads as passes over two accounts. `now` is what is free at this moment; `later` is what
// will be free once the jobs that somebody waits for have left, less what is kept for those who wait.
// Job by job, in the order of [policy.Compare] (order.go):
//
//   - place: a gang finds all its seats, free now and not kept for anybody ahead, or none (place.go,
//     with nodes.go choosing machines and seat.go and devices.go choosing devices);
//   - yield: running jobs of lower priority are asked for their seats, the fewest and cheapest, and the
//     seats are kept for who asked until he starts or goes (yield.go);
//   - claim: a blocked job keeps what it waits for, so that nobody behind it moves its start; whoever
//     does not disturb a claim passes, which is all there is to backfill (backfill.go).
//
// In the end everyone left is held with a true reason (hold.go). [Why] answers one job at length, with a
// fix that was tried (why.go, fix.go); [Check] refuses what no node could ever run (check.go).
//
// The planner acts on nothing. Whether a decision was carried out it learns from the next delta.
package sched
