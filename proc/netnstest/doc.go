// Package netnstest has network namespaces stand for machines, in tests that need no more than two with a cable between them: a test asks
// for a [Pair], starts programs in them, and both are gone when it ends. A switch with more machines, cables that are cut
// and slow ones are those of package cli's own tests.
package netnstest
