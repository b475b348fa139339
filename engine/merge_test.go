package engine

import (
	"testing"

	"ainexus.io/nexus"
)

// What the first part of a burst taught is not forgotten because of what came after it.
func TestABurstKeepsWhatItTaught(t *testing.T) {
	one, two := &nexus.History{Version: 1}, &nexus.History{Version: 2}
	jobs := []nexus.Job{{ID: "a"}}
	for _, c := range []struct {
		a, b nexus.Delta
		want *nexus.History
	}{
		{nexus.Delta{History: one}, nexus.Delta{Jobs: jobs}, one},
		{nexus.Delta{Jobs: jobs}, nexus.Delta{History: two}, two},
		{nexus.Delta{History: one}, nexus.Delta{History: two}, two},
	} {
		if m := merge(c.a, c.b); m.History != c.want {
			t.Errorf("%+v and then %+v are %+v", c.a, c.b, m)
		}
	}
}
