package nexus

import (
	"fmt"
	"slices"
)

// Topology says how near to one another the seats of a gang, or its GPUs on a node, have to be or had better be. At
// most one of the two is said.
type Topology struct {
	Require Level `json:"require,omitempty"` // it waits until all of it fits into one
	Prefer  Level `json:"prefer,omitempty"`  // it takes one that has room for all, if there is one
}

// Level is a part of a fleet, the nearest first: an NVLink island of a node, a node, a rack, a block of racks.
type Level string

// The levels.
const (
	LevelIsland Level = "island"
	LevelNode   Level = "node"
	LevelRack   Level = "rack"
	LevelBlock  Level = "block"
)

// Levels lists them, the nearest first.
func Levels() []Level { return []Level{LevelIsland, LevelNode, LevelRack, LevelBlock} }

// UnmarshalText refuses an unknown word.
func (l *Level) UnmarshalText(text []byte) error {
	if !slices.Contains(Levels(), Level(text)) {
		return fmt.Errorf("%q is none of island, node, rack, block", text)
	}
	*l = Level(text)
	return nil
}
