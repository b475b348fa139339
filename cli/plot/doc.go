// Package plot draws lines: a [Figure] goes in, an SVG or a PNG comes out, the same picture in both. It knows nothing of
// what the lines mean, and draws no more than `nexus simulate --plot` needs: charts one below the other, several named
// lines in each, linear or logarithmic to the right.
package plot
