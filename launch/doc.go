// Package launch is the launcher: torchrun's seat on this node, and the agent of an attempt.
//
// There is one way of running. [Agent] is given the attempt's directory and takes its order from there; [Run], for
// a bare `nexus launch`, makes an order and a directory of its own. Both then do the same: lock, claim, keeper,
// setup, and rounds until the work is done, cannot be done, or somebody asks for a stop. A round gets an empty
// key-value store, its ranks, and one process per worker; it ends with the first worker that fails, when no
// worker makes progress, or when all are done. What follows is decided by package elastic. Before a round begins
// it is in the record of the budget, durably, so that a budget is never spent twice.
//
// With several nodes, the meeting (package rendezvous) says which rounds there are, and the agent runs its node's part:
// it reports failures and endings and is told when to begin and to end.
//
// The package leaves to others which seats an attempt gets, when the next attempt comes (the engine), and what
// an exit code looks like on a terminal (cli). It has no flags and reads no environment: both are handed in.
// Durations are counted by [proc.Clock]'s Mono alone.
package launch
