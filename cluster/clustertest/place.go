package clustertest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"ainexus.io/nexus"
)

// Place is a place with an engine turning over it, until the test ends.
type Place interface {
	// Submit makes a job durable and returns its id. The job does as its body says, whatever Spec.Run is.
	Submit(ctx context.Context, spec nexus.Spec, body Body) (id string, err error)
	// Job returns a job as it stands.
	Job(ctx context.Context, id string) (nexus.Job, error)
	// Cancel asks for the end of a job.
	Cancel(ctx context.Context, id string) error
	// Open opens a gate: jobs that wait at it go on, those of later attempts too.
	Open(gate string)
	// KillAgent ends the agent of a job's living attempt as a power cut would.
	KillAgent(ctx context.Context, id string) error
	// Reason is why a Pending job waits, as last told; the zero Reason if that was not told yet.
	Reason(ctx context.Context, id string) (nexus.Reason, error)
}

// Body is what every worker of a job does: it waits until a gate is open, if one is named, then ends with
// an exit code.
type Body struct {
	Until string // name of a gate: a single word
	Exit  int
}

// Machine is what the place should consist of: one Ready node with so many logical CPUs and no GPU.
type Machine struct {
	Slots int
}

// patience is how long a test waits for what must come.
const patience = time.Minute

// watch is a place as the tests use it.
type watch struct {
	t *testing.T
	Place
}

func (w watch) submit(spec nexus.Spec, body Body) string {
	w.t.Helper()
	id, err := w.Submit(w.t.Context(), spec, body)
	if err != nil {
		w.t.Fatalf("submitting %s: %v", spec.Name, err)
	}
	return id
}

func (w watch) job(id string) nexus.Job {
	w.t.Helper()
	j, err := w.Job(w.t.Context(), id)
	if err != nil {
		w.t.Fatalf("job %s: %v", id, err)
	}
	return j
}

// until waits until a job is as it should be, and returns it.
func (w watch) until(id, what string, ok func(nexus.Job) bool) nexus.Job {
	w.t.Helper()
	for end := time.Now().Add(patience); ; {
		j := w.job(id)
		if ok(j) {
			return j
		}
		if time.Now().After(end) {
			w.t.Fatalf("%s (%s) is %s (attempt %d, result %+v) and never %s", id, j.Spec.Name, j.Phase, j.Attempt, j.Result, what)
		}
		rest(w.t.Context())
	}
}

func (w watch) phase(id string, phases ...nexus.Phase) nexus.Job {
	w.t.Helper()
	return w.until(id, fmt.Sprint(phases), func(j nexus.Job) bool { return slices.Contains(phases, j.Phase) })
}

// reason waits until a waiting job was told why.
func (w watch) reason(id string, codes ...nexus.ReasonCode) nexus.Reason {
	w.t.Helper()
	for end := time.Now().Add(patience); ; {
		r, err := w.Reason(w.t.Context(), id)
		if err != nil {
			w.t.Fatalf("reason of %s: %v", id, err)
		}
		if slices.Contains(codes, r.Code) {
			return r
		}
		if time.Now().After(end) {
			w.t.Fatalf("%s is told %+v, and never one of %v", id, r, codes)
		}
		rest(w.t.Context())
	}
}

// rest lets the place do something before it is asked again.
func rest(ctx context.Context) {
	timer := time.NewTimer(5 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
