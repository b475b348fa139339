// Package house keeps the floors of the house: it reads the sources of the
// whole repository and says, in one sentence each, where they break a rule
// that ARCHITECTURE.md promises.
//
// A tree of files goes in ([Load]), breaches come out ([Check]); nothing is
// compiled, so the test also judges code that does not build, and files for
// other systems. The table of rooms and floors is in rooms.go, each family of
// rules in a file of its own:
//
//	floors.go    imports go down, or stay inside their own room
//	fences.go    which outside module may enter which room
//	pure.go      what decides has no clock, file, lock, goroutine or luck
//	state.go     no package keeps state
//	init.go      and none works before main
//	settings.go  flags and environment are read in cli
//	papers.go    every package says what it is; files stay short; no leftovers
//	names.go     every exported name has a sentence
//
// The test of this package runs the rules over the repository, and over the
// small broken trees of testdata, one per rule: a rule that cannot fail is a
// defect. Behaviour is left to the tests of each room, and style to gofmt, vet
// and staticcheck.
package house
