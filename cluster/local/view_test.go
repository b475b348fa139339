package local

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"ainexus.io/cluster/local/store"
	"ainexus.io/nexus"
	"ainexus.io/proc"
)

func record(id string, was, is nexus.Phase) store.Record {
	return store.Record{Job: nexus.Job{ID: id, Phase: is}, Was: was}
}

// The planner hears everything once, then what changed, as it then stands; a decision's jobs are answered for.
func TestWhatThePlannerHears(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newView(nexus.Node{Name: "here"}, []store.Record{record("a", nexus.Pending, nexus.Pending)}, map[nexus.Phase]int{nexus.Pending: 1})
		hear := func(patience time.Duration) nexus.Delta {
			t.Helper()
			d, err := v.wait(t.Context(), patience)
			if err != nil {
				t.Fatal(err)
			}
			return d
		}
		if d := hear(-1); !d.Full || len(d.Jobs) != 1 || len(d.Nodes) != 1 || len(d.Queues) != 1 {
			t.Errorf("first it hears %+v", d)
		}
		began := time.Now()
		if d := hear(time.Minute); !d.Empty() || time.Since(began) != time.Minute {
			t.Errorf("when nothing happens it hears %+v after %v", d, time.Since(began))
		}
		go func() {
			time.Sleep(time.Second)
			v.follow([]store.Record{record("a", nexus.Pending, nexus.Starting), record("b", "", nexus.Pending)})
			v.follow([]store.Record{record("a", nexus.Starting, nexus.Succeeded)})
		}()
		began = time.Now()
		d := hear(-1)
		if time.Since(began) != time.Second {
			t.Errorf("it was woken after %v", time.Since(began))
		}
		synctest.Wait()
		d2 := hear(0)
		jobs, gone := append(d.Jobs, d2.Jobs...), append(d.GoneJobs, d2.GoneJobs...)
		if len(jobs) == 0 || jobs[len(jobs)-1].ID == "" || len(gone) != 1 || gone[0] != "a" {
			t.Errorf("it hears of %+v and that %v are gone", jobs, gone)
		}
		v.answer("b", "nobody")
		if d := hear(-1); len(d.Jobs) != 1 || d.Jobs[0].ID != "b" || len(d.GoneJobs) != 1 || d.GoneJobs[0] != "nobody" || d.Nodes != nil {
			t.Errorf("it is answered with %+v", d)
		}
		v.setGPUs([]nexus.GPU{{UUID: "g"}})
		if d := hear(-1); len(d.Nodes) != 1 || len(d.Nodes[0].GPUs) != 1 || len(d.Jobs) != 0 {
			t.Errorf("of the node it hears %+v", d)
		}
		if counts := v.counted(); counts[nexus.Pending] != 1 || counts[nexus.Succeeded] != 1 || counts[nexus.Starting] != 0 {
			t.Errorf("jobs by phase: %v", counts)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := v.wait(ctx, -1); err == nil {
			t.Error("it waits on though nobody wants to know")
		}
	})
}

// A wall clock that jumps changes nothing; a restart never goes behind what was left behind.
func TestTimeGoesForward(t *testing.T) {
	wall, mono := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC), time.Duration(0)
	source := proc.Clock{Wall: func() time.Time { return wall }, Mono: func() time.Duration { return mono }}
	c := newClock(source)
	start := c.Now()
	for _, jump := range []time.Duration{24 * time.Hour, -48 * time.Hour, time.Minute} {
		wall, mono = wall.Add(jump), mono+time.Second
	}
	if got := c.Now().Sub(start); got != 3*time.Second {
		t.Errorf("in three seconds %v passed", got)
	}
	left := c.Now()
	again := newClock(source) // the wall is a day behind by now
	again.notBefore(left)
	if now := again.Now(); now.Before(left) {
		t.Errorf("after a restart it is %v, before it was %v", now, left)
	}
	mono += time.Second
	if now := again.Now(); now.Sub(left) != time.Second {
		t.Errorf("a second later it is %v", now)
	}
	wall = wall.Add(240 * time.Hour)
	later := newClock(source)
	later.notBefore(left)
	if now := later.Now(); !now.Equal(wall) {
		t.Errorf("after ten days away it is %v, not %v", now, wall)
	}
}
