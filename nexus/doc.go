// Package nexus holds the nouns of the field and nothing that acts on them. Every other room speaks in
// these words; a new word is a change of its own.
//
// # Work
//
//   - Job: what a user asks for, once; it has a [Spec], a [Phase] and a budget of restarts.
//   - Spec: the job file, the REST body and the spec of the Kubernetes resource: one document.
//   - Array: a job file that is submitted once per index; its Members are jobs of their own.
//   - Gang: the workers of a job, which start together or not at all; Min..Max nodes when elastic.
//   - Worker: one process of a gang, with Rank, LocalRank and WorldSize.
//   - Agent: supervises the workers of one job on one node.
//   - Attempt: one try of a job on one allocation. Made by the engine only.
//   - Round: a restart of the workers inside a living Attempt. Made by the launcher.
//   - Epoch: (attempt, round), compared in that order: the fencing token of checkpoints.
//   - Restart: a new Round or Attempt after an ending the budget pays for.
//   - Type: training, inference, preprocessing, evaluation: what a job prefers, never what it may.
//   - Priority: low, normal, high, critical: decides first.
//   - Phase: Pending, Starting, Running, Stopping, then Succeeded, Failed or Cancelled.
//   - Checkpoint: saved work; valid only with its [Manifest] beside it. Saved: one as it was found.
//
// # Places
//
//   - Node: a machine: Ready, Cordoned, Draining or Lost.
//   - GPU: a device of a node. Share: so many MiB of one GPU. Slice: a MIG partition.
//   - Topology: island (NVLink), node, rack, block.
//   - Queue, Quota, Cohort: who may use how much, and who lends to whom.
//
// # Decisions
//
//   - Snapshot: all that the planner may know, at one instant. Delta: what changed since.
//   - Plan: what to do about it: [Placement], [Eviction], [Hold], [Reservation].
//   - Cycle: observe, plan, verify, apply, tell.
//   - Preempt: take capacity from a job of lower priority. Reclaim: take back what was lent.
//   - Resize: give a running elastic job more nodes that are idle, or take those that it can do without.
//   - Reservation: capacity kept for who asked. Backfill: passing without moving the head's date.
//   - Hold: a job waits, with a [Reason] that is true.
//   - History: what past jobs taught, as a [Sketch] per kind of job. Estimate: when a waiting job starts.
//   - Lease: a hint to look, never a verdict. Event: what happened, told afterwards.
//   - Suspect: a rank that seems to keep the others waiting. Never a verdict either: nothing is done about it.
//   - Rendezvous: where agents meet and agree on a Round. Trace: recorded jobs to replay.
//
// Memory is integer MiB ([MiB]), processor time integer thousandths of a logical CPU ([CPU]).
// The package is pure: no clock, file, socket, lock, goroutine, log or random number.
package nexus
