// Package ledger is the planner's account of what is free where: whole GPUs, shares of GPUs in MiB,
// thousandths of a CPU and MiB of memory, node by node.
//
// Facts (what runs) are charged as they are, even where they exceed a node that shrank; decisions are
// taken, which fails where anything would be exceeded. What follows a [Ledger.Checkpoint] can be undone
// by [Ledger.Rollback], so that a gang is tried seat by seat and leaves no trace when one is missing.
//
// The package keeps the account and decides nothing: who gets what is the business of sched.
package ledger
