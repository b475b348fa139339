package local

import (
	"testing"

	"ainexus.io/api"
	"ainexus.io/nexus"
)

// A held job waits, with its reason, until it is released. What runs cannot be held.
func TestHoldAndRelease(t *testing.T) {
	t.Parallel()
	p := start(t, testOptions(t.TempDir()))
	s := submission(t, "sleep 60")
	s.Hold = true
	job, err := p.Submit(t.Context(), s)
	if err != nil || job.HeldBy != "ada" || job.Phase != nexus.Pending {
		t.Fatalf("it is %s, held by %q, %v", job.Phase, job.HeldBy, err)
	}
	v := await(t, p, job.ID, "told why", func(v api.JobView) bool { return v.Reason != nil })
	if v.Reason.Code != nexus.WaitHeld || v.Reason.User != "ada" {
		t.Errorf("it is told %+v", v.Reason)
	}
	if again, err := p.Hold(t.Context(), job.ID, "bob"); err != nil || again.HeldBy != "ada" {
		t.Errorf("held twice: %q, %v", again.HeldBy, err)
	}
	if now, err := p.Release(t.Context(), job.ID); err != nil || now.HeldBy != "" {
		t.Errorf("released: held by %q, %v", now.HeldBy, err)
	}
	awaitPhase(t, p, job.ID, nexus.Running)
	for what, do := range map[string]func() (api.Changed, error){
		"hold":    func() (api.Changed, error) { return p.Hold(t.Context(), job.ID, "ada") },
		"release": func() (api.Changed, error) { return p.Release(t.Context(), job.ID) },
	} {
		if _, err := do(); refusal(err).Code != nexus.CodeConflict {
			t.Errorf("%s of a running job: %v", what, err)
		}
	}
}

// A hold that was acknowledged counts, also against a plan that was made before it.
func TestAHoldComesBeforeAPlan(t *testing.T) {
	t.Parallel()
	p, err := New(t.Context(), testOptions(t.TempDir())) // nobody plans but this test
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	job := submit(t, p, "true")
	if _, err := p.Hold(t.Context(), job.ID, "ada"); err != nil {
		t.Fatal(err)
	}
	plan := nexus.Plan{Place: []nexus.Placement{{Job: job.ID, Attempt: 1, Seats: []nexus.Seat{{Node: "here", Workers: 1}}}}}
	if err := p.Apply(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	if v, err := p.Job(t.Context(), job.ID); err != nil || v.Phase != nexus.Pending {
		t.Errorf("it is %s, %v", v.Phase, err)
	}
}

// A held job that is cancelled and requeued is back in line, not held.
func TestAHeldJobIsRequeued(t *testing.T) {
	t.Parallel()
	p := start(t, testOptions(t.TempDir()))
	s := submission(t, "true")
	s.Hold = true
	job, err := p.Submit(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Cancel(t.Context(), job.ID); err != nil {
		t.Fatal(err)
	}
	if now, err := p.Requeue(t.Context(), job.ID); err != nil || now.HeldBy != "" {
		t.Errorf("requeued: held by %q, %v", now.HeldBy, err)
	}
	awaitPhase(t, p, job.ID, nexus.Succeeded)
}
