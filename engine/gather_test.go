package engine

import (
	"testing"
	"time"
)

// The longer a plan takes, the more changes each of them takes in while they keep coming, up to a second's.
func TestLongPlansAreMadeLessOften(t *testing.T) {
	for took, want := range map[time.Duration]time.Duration{
		0: gatherMost, 5 * time.Millisecond: gatherMost, 40 * time.Millisecond: 80 * time.Millisecond, time.Minute: time.Second,
	} {
		if got := gatherFor(took); got != want {
			t.Errorf("after a plan that took %v they are gathered for %v, not %v", took, got, want)
		}
	}
}
