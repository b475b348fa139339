// Package program is what the programs under bench do alike. [Main] runs one, [Flags] are what it is asked, [Bench] is
// what its figures share, and [Figure] is one measurement, which owes rows. [Bench.Run] goes from the machine's
// conditions through the figures to the table's end, and never longer than [Limit], where it sets no other bound.
//
// What is measured, and against whom, is each program's own.
package program
