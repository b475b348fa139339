// Package clustertest holds the promises that every place keeps, as one suite that each place runs:
//
//	func TestPromises(t *testing.T) {
//		clustertest.Run(t, func(t *testing.T, m clustertest.Machine) clustertest.Place { ... })
//	}
//
// The place comes with an engine that runs over it; how the two are put together is the caller's business,
// and so is what a job really does: a [Body] says only when it ends, and how.
package clustertest
