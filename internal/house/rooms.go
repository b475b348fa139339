package house

import "strings"

// A Room is a directory of the repository with a floor. It includes its
// subdirectories, except those that are rooms themselves.
type Room struct {
	Path  string // slash-separated, relative to the module, such as "launch/elastic"
	Floor int    // 1 is the lowest; a room imports only rooms of lower floors
	Pure  bool   // decides and never acts: no clock, file, socket, lock, goroutine, log or random number
}

// rooms is the house as ARCHITECTURE.md draws it, from the roof down.
var rooms = []Room{
	{Path: "cmd", Floor: 6},
	{Path: "bench", Floor: 6},
	{Path: "examples", Floor: 6},

	{Path: "cli", Floor: 5},

	{Path: "app", Floor: 4},

	{Path: "engine", Floor: 3},
	{Path: "cluster/local", Floor: 3},
	{Path: "cluster/kube", Floor: 3},
	{Path: "cluster/sim", Floor: 3},
	{Path: "cluster/clustertest", Floor: 3},
	{Path: "launch", Floor: 3},
	{Path: "train", Floor: 3},

	{Path: "sched", Floor: 2, Pure: true},
	{Path: "sched/ledger", Floor: 2, Pure: true},
	{Path: "sched/policy", Floor: 2, Pure: true},
	{Path: "launch/elastic", Floor: 2, Pure: true},
	{Path: "attempt", Floor: 2},
	{Path: "api", Floor: 2},
	{Path: "metrics", Floor: 2},
	{Path: "journal", Floor: 2},
	{Path: "gpu", Floor: 2},

	{Path: "nexus", Floor: 1, Pure: true},
	{Path: "proc", Floor: 1},
	{Path: "c10d", Floor: 1},
	{Path: "web", Floor: 1},
	{Path: "internal/house", Floor: 1},
}

// roomOf gives the innermost room that holds the directory.
func roomOf(dir string) (Room, bool) {
	var found Room
	for _, r := range rooms {
		if within(dir, r.Path) && len(r.Path) > len(found.Path) {
			found = r
		}
	}
	return found, found.Path != ""
}

// within says whether dir is the room's directory or lies below it.
func within(dir, room string) bool {
	return dir == room || strings.HasPrefix(dir, room+"/")
}

// isTesting says whether the directory serves tests only. As in the standard
// library (httptest, iotest), its name says so.
func isTesting(dir string) bool {
	return strings.HasSuffix(dir, "test")
}
