// Package row is how a benchmark tells what it measured: one [Row] for each line of a table of figures, printed as one
// JSON object per line or as an aligned table.
//
// A benchmark names its [Line]s first: what is measured, in which unit, and what [Must] hold. A line becomes a row with
// [Line.Against] (there is a peer, measured in the same run), [Line.Alone] (there is none) or [Line.Missing] (it could
// not be measured: such a row is printed too, with the reason). [Median] and [Percentile] make one number of many.
//
// Measuring is the business of the benchmarks.
package row
