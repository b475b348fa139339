package launch

import (
	"testing"
	"time"

	"ainexus.io/attempt"
	"ainexus.io/nexus"
)

func TestTheVerdictOfTheHangWatch(t *testing.T) {
	for _, test := range []struct {
		name    string
		steps   []int64 // by rank; -1: never reported, -2: left from the round before
		rank    int
		message string
	}{
		{"one is behind", []int64{7, 5, 7}, 1, "no rank has made progress for 1m: rank 1 is behind at step 5, the others came to step 7"},
		{"one never began", []int64{7, 7, -1}, 2, "no rank has made progress for 1m: rank 2 has made no step at all, the others came to step 7"},
		{"one has not come back", []int64{7, -2, 7}, 1, "no rank has made progress for 1m: rank 1 has made no step at all, the others came to step 7"},
		{"all at one step", []int64{7, 7, 7}, -1, "no rank has made progress for 1m: every rank that reports stopped at step 7"},
		{"only the first reports", []int64{7, -1, -1}, -1, "no rank has made progress for 1m: every rank that reports stopped at step 7"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := attempt.Dir(t.TempDir())
			if err := dir.Create(nexus.Order{Spec: nexus.Spec{Type: nexus.Training, Nodes: nexus.Range{Min: 1, Max: 1}}}); err != nil {
				t.Fatal(err)
			}
			for rank, step := range test.steps {
				if step == -2 {
					leave(dir.ProgressFile(rank), nexus.Progress{Rank: rank, Step: 99})
				}
			}
			w := newWatch(dir, 0, len(test.steps), time.Minute)
			if w.hung(time.Hour) {
				t.Fatal("a verdict before the first step")
			}
			for rank, step := range test.steps {
				if step >= 0 {
					leave(dir.ProgressFile(rank), nexus.Progress{Rank: rank, Step: step})
				}
			}
			if w.hung(2*time.Hour) || w.hung(2*time.Hour+59*time.Second) {
				t.Fatal("too early: it was away, and then saw steps")
			}
			if !w.hung(2*time.Hour + time.Minute) {
				t.Fatal("no verdict")
			}
			if rank, message, _ := verdict(w.limit, w.standings(make([]stack, len(test.steps)))); rank != test.rank || message != test.message {
				t.Errorf("%d: %s", rank, message)
			}
		})
	}
}
