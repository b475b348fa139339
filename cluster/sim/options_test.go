package sim

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"ainexus.io/nexus"
)

func placed(job string, attempt, gpu int) nexus.Plan {
	p := seat(attempt, gpu)
	p.Place[0].Job = job
	return p
}

// What was interrupted has to do again what its last checkpoint does not hold, and pays for coming back.
func TestInterruptionsCost(t *testing.T) {
	s := NewWith(dawn, Options{Brisk: true}, Machine("n1", 4, 8<<10, 1, "A100", 40<<10))
	life := Life{Runs: time.Hour, Resume: time.Minute, Every: 10 * time.Minute}
	s.SubmitAs("a", "ann", nexus.Spec{Checkpoint: &nexus.CheckpointSpec{}}, life)
	apply := func(p nexus.Plan) {
		t.Helper()
		if err := s.Apply(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	apply(placed("a", 1, 0))
	follow(t, s, dawn.Add(25*time.Minute))
	s.Kill("a") // 20 of 25 minutes were saved
	apply(placed("a", 2, 0))
	follow(t, s, dawn.Add(36*time.Minute))                                              // one of 11 was spent on coming back
	apply(nexus.Plan{Evict: []nexus.Eviction{{Job: "a", Attempt: 2, For: "somebody"}}}) // which saves all 10
	follow(t, s, dawn.Add(40*time.Minute))
	apply(placed("a", 3, 0))
	follow(t, s, dawn.Add(5*time.Hour))
	j, _ := s.Job("a")
	if want := dawn.Add(71 * time.Minute); j.Phase != nexus.Succeeded || !j.Finished.Equal(want) || j.User != "ann" {
		t.Errorf("%s at %s, not %s", j.Phase, j.Finished, want)
	}
}

// Who never started by then is withdrawn; who started is not, whatever happened to it since.
func TestPatience(t *testing.T) {
	s := New(dawn, Machine("n1", 4, 8<<10, 1, "A100", 40<<10))
	s.SubmitAs("a", "", nexus.Spec{}, Life{Patience: time.Hour, Runs: 2 * time.Hour})
	s.SubmitAs("b", "", nexus.Spec{}, Life{Patience: time.Hour})
	if err := s.Apply(t.Context(), placed("a", 1, 0)); err != nil {
		t.Fatal(err)
	}
	follow(t, s, dawn.Add(30*time.Minute))
	s.Kill("a")
	follow(t, s, dawn.Add(3*time.Hour))
	a, _ := s.Job("a")
	b, _ := s.Job("b")
	if a.Phase != nexus.Pending || b.Phase != nexus.Cancelled || !b.Finished.Equal(dawn.Add(time.Hour)) {
		t.Errorf("a is %s, b %s at %s", a.Phase, b.Phase, b.Finished)
	}
}

// An instant is one delta: the answer to a plan comes with whatever happens next, and all that was placed runs by then.
func TestBriskPlacesAnswerWithTheNextEvent(t *testing.T) {
	s := NewWith(dawn, Options{Brisk: true}, Machine("n1", 4, 8<<10, 2, "A100", 40<<10))
	s.SubmitAs("a", "", nexus.Spec{}, Life{Runs: time.Hour})
	s.At(dawn.Add(time.Minute), func() { s.SubmitAs("b", "", nexus.Spec{}, Life{}) })
	if d, err := s.Changes(t.Context(), time.Time{}); err != nil || !d.Full || len(d.Jobs) != 1 {
		t.Fatalf("%+v, %v", d, err)
	}
	if err := s.Apply(t.Context(), placed("a", 1, 0)); err != nil {
		t.Fatal(err)
	}
	d, err := s.Changes(t.Context(), time.Time{})
	if err != nil || len(d.Jobs) != 2 || d.Jobs[0].Phase != nexus.Running || !s.Now().Equal(dawn.Add(time.Minute)) {
		t.Errorf("at %s: %+v, %v", s.Now(), d, err)
	}
}

// Nodes break by a clock of their own: what jobs are there makes no difference, the seed does.
func TestNodesBreakBySeed(t *testing.T) {
	history := func(seed int64, jobs int) []string {
		var nodes []nexus.Node
		for i := range 4 {
			nodes = append(nodes, Machine(fmt.Sprint("n", i), 4, 8<<10, 1, "A100", 40<<10))
		}
		s := NewWith(dawn, Options{Failures: 1, Repair: 2 * time.Hour, Seed: seed}, nodes...)
		for i := range jobs {
			s.SubmitAs(fmt.Sprint("job", i), "", nexus.Spec{}, Life{})
		}
		var lines []string
		for s.Now().Before(dawn.Add(20 * day)) {
			d, err := s.Changes(t.Context(), dawn.Add(20*day))
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range d.Nodes {
				if !d.Full {
					lines = append(lines, fmt.Sprint(s.Now(), n.Name, n.State))
				}
			}
		}
		return lines
	}
	one := history(1, 0)
	if n := len(one); n < 100 || n > 200 { // 80 losses are expected, each with a return
		t.Errorf("%d changes in 20 days of 4 nodes", n)
	}
	if !reflect.DeepEqual(one, history(1, 5)) {
		t.Error("jobs change when nodes break")
	}
	if reflect.DeepEqual(one, history(2, 0)) {
		t.Error("the seed does not")
	}
}
