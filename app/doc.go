// Package app is the only wiring: it makes the rooms know one another, starts them in order and stops them in reverse.
//
//	NewDaemon   devices -> state lock -> records -> metrics -> journal -> engine -> socket and port
//	Start       place, engine, server, and the watch for idleness; returns at once
//	Stop        server, engine, journal, place, devices; agents and their workers run on
//
// [Fragmentation] and [Replay] put the same engine over an imagined place (cluster/sim) and say what that came to.
//
// All settings are fields of [Options]; who reads flags and the environment is cli. [RunAgent] is the other process:
// the agent of one attempt.
package app
