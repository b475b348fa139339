package kubetest

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"ainexus.io/nexus"
)

// Job is what tests want to know of a NexusJob.
type Job struct {
	Metadata struct {
		UID               string
		CreationTimestamp time.Time
	}
	Status struct {
		Phase                                    nexus.Phase
		Reason, Message                          string
		Attempt, RestartsUsed, Preemptions, GPUs int
		Started, Finished                        time.Time
		Seats                                    []struct{ Node string }
		Stop, StopFor                            string
		StopBy                                   time.Time
		Reserved                                 *struct{ Seats []struct{ Node string } }
		Checkpoint                               *struct {
			Attempt int
			Step    int64
			Path    string
		}
		Line *struct {
			AsOf, StartsBy time.Time
			Place          int
			Expected       *struct{ Earliest, Likely, Latest time.Time }
		}
		Conditions []struct{ Type, Status, Reason string }
		Result     *struct {
			Attempt int
			OK      bool
			Cause   nexus.Cause
			Exit    int
			Message string
		}
	}
}

// Job reads a NexusJob.
func (p *Plane) Job(namespace, name string) (Job, error) {
	var j Job
	out, err := p.TryKubectl("", "get", "nexusjob", name, "--namespace="+namespace, "-o", "json")
	if err != nil {
		return j, fmt.Errorf("%w: %s", err, out)
	}
	return j, json.Unmarshal([]byte(out), &j)
}

// UntilJob waits until a NexusJob is as it should be, three minutes at most: loaded machines are slow. What says in words what is waited for.
func (p *Plane) UntilJob(t testing.TB, namespace, name, what string, ok func(Job) bool) Job {
	t.Helper()
	for end := time.Now().Add(3 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		j, err := p.Job(namespace, name)
		if err != nil {
			t.Fatal(err)
		}
		if ok(j) {
			return j
		}
		if time.Now().After(end) {
			t.Fatalf("%s is never %s: %+v\n%s", name, what, j.Status, p.Kubectl("get", "nexusjobs,jobs,pods,events", "--namespace="+namespace, "-o", "wide"))
		}
	}
}

// Apply applies a document to a namespace.
func (p *Plane) Apply(t testing.TB, namespace, text string) {
	t.Helper()
	if out, err := p.TryKubectl(text, "apply", "--namespace="+namespace, "-f", "-"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}
