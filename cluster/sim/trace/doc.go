// Package trace reads recorded jobs, and makes up jobs where nobody recorded any.
//
// A reader takes a text and gives jobs, nodes, and a [Report]: what was left out on purpose and which rows could
// not be read, by line. A row that cannot be read is never guessed at. A column that is missing is one
// [nexus.Error] that says which names would do.
//
//	openb    nodes and pods of Alibaba's GPU traces; a GPU has 1000 MiB, so that a thousandth is a MiB
//	csv      any table with a heading: Philly's, or one with the usual names of columns
//	sacct    what Slurm's accounting prints with --parsable2
//
// [Load] makes jobs by arrival rate, sizes and durations. The same seed gives the same jobs.
package trace
