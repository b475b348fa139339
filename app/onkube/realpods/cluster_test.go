package realpods

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"ainexus.io/cluster/kube/kubetest"
	"ainexus.io/nexus"
)

// cluster is a namespace of a control plane.
type cluster struct {
	t     *testing.T
	plane *kubetest.Plane
	space string
}

// object is what is wanted to be known of a NexusJob.
type object struct {
	Metadata struct{ UID string }
	Status   struct {
		Phase                              nexus.Phase
		Reason, Message                    string
		Attempt, RestartsUsed, Preemptions int
		Checkpoint                         *struct {
			Attempt int
			Step    int64
			Path    string
		}
		Result *struct {
			Attempt int
			Cause   nexus.Cause
			Exit    int
			Message string
		}
	}
}

func (c cluster) get(name string) (object, error) {
	var o object
	out, err := c.plane.TryKubectl("", "get", "nexusjob", name, "--namespace="+c.space, "-o", "json")
	if err != nil {
		return o, fmt.Errorf("%w: %s", err, out)
	}
	return o, json.Unmarshal([]byte(out), &o)
}

// until waits until a job is as it should be.
func (c cluster) until(name, what string, ok func(object) bool) object {
	c.t.Helper()
	for end := time.Now().Add(3 * time.Minute); ; time.Sleep(200 * time.Millisecond) {
		o, err := c.get(name)
		if err != nil {
			c.t.Fatal(err)
		}
		if ok(o) {
			return o
		}
		if time.Now().After(end) {
			c.t.Fatalf("%s is never %s: %+v\n%s", name, what, o.Status, c.plane.Kubectl("get", "nexusjobs,jobs,pods,events", "--namespace="+c.space, "-o", "wide"))
		}
	}
}

func (c cluster) phase(name string, phase nexus.Phase) object {
	c.t.Helper()
	return c.until(name, string(phase), func(o object) bool { return o.Status.Phase == phase })
}

// document applies a document as it is.
func (c cluster) document(text string) {
	c.t.Helper()
	if out, err := c.plane.TryKubectl(text, "apply", "--namespace="+c.space, "-f", "-"); err != nil {
		c.t.Fatalf("%v: %s", err, out)
	}
}
