package elastic

import (
	"testing"

	"ainexus.io/nexus"
)

// Running out of memory is answered by a round of the same size, unless more is to be asked for: that takes another
// attempt. Who does not name it takes it for an exit.
func TestAfterRunningOutOfMemory(t *testing.T) {
	for _, row := range []struct {
		on    []nexus.Cause
		grow  nexus.Factor
		left  int
		again bool
		why   string
	}{
		{on: []nexus.Cause{nexus.CauseExit}, left: 1, again: true},
		{on: []nexus.Cause{nexus.CauseOOM}, left: 1, again: true},
		{on: []nexus.Cause{nexus.CauseOOM}, grow: 1500, left: 1},
		{on: []nexus.Cause{nexus.CauseExit}, grow: 1500, left: 1, again: true},
		{on: []nexus.Cause{nexus.CauseHang}, left: 1, why: "the job is not restarted on oom"},
		{on: []nexus.Cause{nexus.CauseOOM}, grow: 1500, left: 0},
	} {
		d := Decide(State{RestartsLeft: row.left}, Ending{Cause: nexus.CauseOOM}, nexus.Restart{Max: 1, On: row.on, Grow: row.grow}, DefaultBackoff())
		if d.Again != row.again || d.Because != row.why {
			t.Errorf("on %v, grow %s, %d left: %+v", row.on, row.grow, row.left, d)
		}
	}
}
