package local

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"ainexus.io/api"
	"ainexus.io/cluster/local/store"
	"ainexus.io/nexus"
)

// What jobs taught is told to the planner in time, and is still known after a restart.
func TestLessonsAreKept(t *testing.T) {
	t.Parallel()
	opts := testOptions(t.TempDir())
	p, err := New(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	p.Start()
	if d, err := p.Changes(t.Context(), time.Time{}); err != nil || !d.Full || d.History != nil {
		t.Fatalf("a new place says %+v, %v", d, err)
	}
	for i := range 8 {
		job := submit(t, p, "true")
		if i == 0 { // it waited, longer than was thought
			at := p.Now()
			hold := nexus.Hold{Job: job.ID, Reason: nexus.Reason{Code: nexus.WaitCapacity}, Start: &nexus.Estimate{At: at, Low: at, Median: at, High: at, Plain: nexus.Duration(time.Minute)}}
			if err := p.Apply(t.Context(), nexus.Plan{Hold: []nexus.Hold{hold}}); err != nil {
				t.Fatal(err)
			}
		}
		seat := nexus.Seat{Node: p.view.machine().Name, Workers: 1, CPU: 100}
		if err := p.Apply(t.Context(), nexus.Plan{Place: []nexus.Placement{{Job: job.ID, Attempt: 1, Seats: []nexus.Seat{seat}}}}); err != nil {
			t.Fatal(err)
		}
		awaitPhase(t, p, job.ID, nexus.Succeeded)
	}
	var told *nexus.History
	for told == nil {
		d, err := p.Changes(t.Context(), p.Now().Add(10*time.Second))
		if err != nil || d.Empty() {
			t.Fatalf("eight jobs have ended, and the planner hears %+v, %v", d, err)
		}
		told = d.History
	}
	if len(told.Runs) == 0 || told.Runs[0].Kind != "all" || len(told.Waits) != 3 {
		t.Errorf("the planner hears %+v", told)
	}
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	learnt := p.lessons.all()

	q, err := New(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Stop() })
	d, err := q.Changes(t.Context(), time.Time{})
	if err != nil || !d.Full || d.History == nil {
		t.Fatalf("after a restart the planner hears %+v, %v", d, err)
	}
	if d.History.Version != learnt.Version || d.History.Mix.Seen != 8 || len(d.History.Waits) != 3 || d.History.Late != learnt.Late {
		t.Errorf("after a restart %+v is known, before it %+v", d.History, learnt)
	}
}

// Lessons that cannot be read are told and learnt anew; they keep nobody from working.
func TestGarbledLessonsAreForgotten(t *testing.T) {
	t.Parallel()
	for name, doc := range map[string]string{
		"cut":        `{"version": 3, "runs": [{"ki`,
		"no history": `[]`,
		"far counts": `{"version": 3, "runs": [{"kind": "all", "last": "2026-01-01T00:00:00Z", "from": 70, "counts": [1]}]}`,
		"less":       `{"version": 3, "mix": {"kept": [{"gpus": 1, "count": -1}]}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opts := testOptions(t.TempDir())
			p, err := New(t.Context(), opts)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.store.Do(t.Context(), func(tx *store.Tx) error { return tx.PutLessons([]byte(doc)) }); err != nil {
				t.Fatal(err)
			}
			if err := p.Stop(); err != nil {
				t.Fatal(err)
			}
			var said bytes.Buffer
			opts.Log = slog.New(slog.NewTextHandler(&said, nil))
			p = start(t, opts)
			if !strings.Contains(said.String(), "learnt anew") {
				t.Errorf("nobody is told: %s", said.String())
			}
			awaitPhase(t, p, submit(t, p, "true").ID, nexus.Succeeded)
			for deadline := time.Now().Add(10 * time.Second); len(p.lessons.all().Runs) == 0; time.Sleep(5 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("it learns %+v", p.lessons.all())
				}
			}
		})
	}
}

// A job that goes back in line keeps how long it has run, so that it is not taken for a new one.
func TestHowLongAJobRanIsKept(t *testing.T) {
	t.Parallel()
	p := start(t, testOptions(t.TempDir()))
	job := submit(t, p, "sleep 60")
	running := awaitPhase(t, p, job.ID, nexus.Running)
	if err := p.Apply(t.Context(), nexus.Plan{Evict: []nexus.Eviction{{Job: job.ID, Attempt: 1, For: "another"}}}); err != nil {
		t.Fatal(err)
	}
	again := await(t, p, job.ID, "in its second attempt", func(v api.JobView) bool { return v.Attempt == 2 })
	if ran := time.Duration(again.Served); ran <= 0 || ran > again.Started.Sub(running.Started) {
		t.Errorf("it ran from %v and again from %v, and counts %v", running.Started, again.Started, ran)
	}
}
