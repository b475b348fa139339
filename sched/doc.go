// Package sched decides who runs where. It is pure: a [nexus.Snapshot] or [nexus.Delta] goes in, a
// [nexus.Plan] comes out, and the same input gives the same plan in whatever order it is told.
//
// [Planner.Step] reads as passes over two accounts. `now` is what is free at this moment; `later` is what
// will be free once the jobs that somebody waits for have left, less what is kept for those who wait.
// Job by job, in order (order.go, share.go):
//
//   - admit: who is beyond the quota of its queue, or a limit of its user, is held; who can do with less is
//     narrowed to what there is quota for (admit.go, narrow.go, over the tree of quota.go);
//   - place: a gang finds all its seats, free now and not kept for anybody ahead, or none (place.go,
//     with nodes.go choosing machines and seat.go and devices.go choosing devices);
//   - shrink: elastic jobs are asked for the nodes that they could do without, and come back on the others
//     (shrink.go, resize.go);
//   - yield: running jobs of lower priority are asked for their seats, the fewest and cheapest, and the
//     seats are kept for who asked until he starts or goes (yield.go, over the search of clear.go);
//   - turn: in a queue that slices time, equals that have run long make way for who has run little (turn.go);
//   - reclaim: what other queues borrowed is taken back for a job within its queue's quota, in the same two
//     phases (reclaim.go);
//   - ripen: who may ask running jobs only later, because their queue has them run for a while, keeps those seats from now on, and
//     the planner asks to be woken then (ripen.go);
//   - claim: a blocked job keeps what it waits for, so that nobody behind it moves its start; whoever
//     does not disturb a claim passes, which is all there is to backfill (backfill.go).
//
// When nobody who waits can be helped any more, elastic jobs grow into what is still idle (grow.go). In the end
// everyone left is held with a true reason (hold.go). [Why] answers one job at length, with a fix that was
// tried (why.go, fix.go); [Check] refuses what no node could ever run (check.go).
//
// # Resizing
//
// A job that is resized stops, saves and comes back as another attempt; the seats it comes back to are kept for
// it, ahead of its equals (resize.go). It is not stopped without need within [policy.ResizeAfter] of its start, nor for anybody within its queue's minimum run time,
// grows only into what nobody who waits could take or has claimed, and only if it saves; so no two jobs resize
// one another in turn. Jobs with gpus: auto have as many nodes as they found.
//
// # Order
//
// Jobs of queues that have nothing to do with one another go by [policy.Compare]: priority, inference ahead
// of its equals, the key of the [policy.Rank], arrival, id. Our key is when a job ought to start
// ([policy.Outlook.Due]); it is made of the submit time and of what the history taught, not of the clock. Inside of a queue they go by [policy.CompareIn], where priority is first too.
// In a cohort, the children of one parent, it is the turn of the queue whose next job has, from first to
// last: the higher priority; seats reserved for it; room within the queue's quota; the smaller share by
// weight; the earlier arrival; the smaller id. With order: fair the same decides between a queue's users. A
// job counts as placed once its turn has come, so turns alternate; no clock is in it. What was used before
// comes decayed in the snapshot ([nexus.QueueUse], policy.Used).
//
// # Quota
//
// Limits are checked against two accounts, as seats are. What queues hold now; and what they will hold once
// those who are waited for have left and those who wait ahead have theirs, which keeps a large job from being
// passed for ever. What a queue is entitled to is not denied by the second: a borrower that waits cannot
// stand in a lender's way. Nobody is evicted in turn: who reclaims stays within its quota, who is reclaimed
// from was beyond it, by both accounts.
//
// # Speed
//
// What is asked of every node is kept and asked again only where something changed. The [index] has a table for
// each kind of request: how well each node suits it, with a [tournament] over the nodes, so that the best of
// thousands is the root of a tree. The ledger tells which nodes changed. Jobs that ask for the same are of one [form]: in a
// cycle capacity only shrinks, so what one of them did not find the next need not look for.
//
// docs/planner.md tells all of this at length, for who inherits it.
//
// The planner acts on nothing. Whether a decision was carried out it learns from the next delta.
package sched
