package sim

import (
	"testing"
	"time"

	"ainexus.io/nexus"
)

var dawn = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func seat(attempt int, gpu int) nexus.Plan {
	return nexus.Plan{Place: []nexus.Placement{{Job: "job-0001", Attempt: attempt, Seats: []nexus.Seat{{
		Node: "n1", Workers: 1, GPUs: []nexus.SeatGPU{{Index: gpu}}, CPU: 1000,
	}}}}}
}

// follow lets time pass until nothing more happens before until.
func follow(t *testing.T, s *Sim, until time.Time) {
	t.Helper()
	for {
		d, err := s.Changes(t.Context(), until)
		if err != nil {
			t.Fatal(err)
		}
		if d.Empty() {
			return
		}
	}
}

// The clock jumps from event to event and never beyond what was asked; a saved hour is not worked twice.
func TestTimeJumpsAndSavedWorkCounts(t *testing.T) {
	s := New(dawn, Machine("n1", 4, 8<<10, 1, "A100", 40<<10))
	id := s.Submit(nexus.Spec{Checkpoint: &nexus.CheckpointSpec{}}, Life{Runs: 2 * time.Hour, Save: time.Minute})
	if err := s.Apply(t.Context(), seat(1, 0)); err != nil {
		t.Fatal(err)
	}
	follow(t, s, dawn.Add(time.Hour))
	if !s.Now().Equal(dawn.Add(time.Hour)) {
		t.Fatalf("it is %s", s.Now())
	}
	if err := s.Apply(t.Context(), nexus.Plan{Evict: []nexus.Eviction{{Job: id, Attempt: 1, For: "boss"}}}); err != nil {
		t.Fatal(err)
	}
	if j, _ := s.Job(id); j.Phase != nexus.Stopping || j.StopFor != "boss" {
		t.Fatalf("%s for %q", j.Phase, j.StopFor)
	}
	follow(t, s, dawn.Add(2*time.Hour))
	if err := s.Apply(t.Context(), seat(2, 0)); err != nil {
		t.Fatal(err)
	}
	follow(t, s, dawn.Add(100*time.Hour))
	j, _ := s.Job(id)
	if want := dawn.Add(3 * time.Hour); j.Phase != nexus.Succeeded || j.Finished.Sub(want).Abs() > time.Minute || j.Preemptions != 1 {
		t.Errorf("%s at %s, after %d preemptions", j.Phase, j.Finished, j.Preemptions)
	}
}

// What would put two jobs in one seat is not done, but told; what is out of date is dropped in silence.
func TestWrongPlansAreCaught(t *testing.T) {
	s := New(dawn, Machine("n1", 4, 8<<10, 1, "A100", 40<<10))
	s.Submit(nexus.Spec{}, Life{Gate: "never"})
	other := s.Submit(nexus.Spec{}, Life{Gate: "never"})
	for _, attempt := range []int{2, 1, 1} { // out of date, right, out of date
		if err := s.Apply(t.Context(), seat(attempt, 0)); err != nil {
			t.Fatal(err)
		}
	}
	if v := s.Violations(); len(v) > 0 {
		t.Fatalf("out of date is no violation: %v", v)
	}
	twice := seat(1, 0)
	twice.Place[0].Job = other
	if err := s.Apply(t.Context(), twice); err != nil {
		t.Fatal(err)
	}
	if v := s.Violations(); len(v) != 1 {
		t.Fatalf("one GPU for two jobs: %v", v)
	}
	if j, _ := s.Job(other); j.Phase != nexus.Pending {
		t.Errorf("the second job is %s", j.Phase)
	}
}
