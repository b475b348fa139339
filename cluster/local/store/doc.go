// Package store keeps the records of one machine in one SQLite file: jobs, events, and a few marks.
//
// There is one writer. What is to change is a function over a [Tx]; functions that wait at the same time are committed
// together, so that a burst of submits shares its trips to the disk (WAL, synchronous=FULL: what was committed survives
// a power cut). After each commit, and before anybody is told of success, the writer hands what changed to
// Options.Committed in the order of the commits: whoever keeps a view in memory follows it there.
//
//	Do(change) -> group -> COMMIT (fsync) -> Committed(records, events) -> Do returns
//
// Readers have connections of their own and never wait for the writer. Jobs that are over are read from disk when
// somebody asks, and forgotten in small steps ([Store.Prune]), oldest first. What a phase means and when it may
// change is left to the caller.
package store
