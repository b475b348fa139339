// Package rank is one rank of ours where a benchmark measures all-reduce: the program starts itself again with [Verb]
// for each, and [Run] does as what the peers' ranks run does. A rank says "ready", reads orders "BYTES ITERATIONS" and
// answers each with one line of times in nanoseconds; the end of the orders, or one of 0 iterations, is its end. [Gloo]
// is a peer's rank that does the same.
//
// [Reduce] is the other end: it gives the same order to all ranks of one side, ours or a peer's, and hears them.
package rank
