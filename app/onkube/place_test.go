// Package onkube tests the controller on a real control plane, from outside.
package onkube

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"ainexus.io/app"
	"ainexus.io/cluster/clustertest"
	"ainexus.io/cluster/kube/kubetest"
	"ainexus.io/nexus"
)

// TestKubePromises runs the suite of promises over a real control plane whose nodes kwok plays and whose agents
// kubetest plays: it writes the states of containers, no container runs.
func TestKubePromises(t *testing.T) {
	plane, round := kubetest.Start(t), 0
	clustertest.Run(t, func(t *testing.T, m clustertest.Machine) clustertest.Place {
		round++
		space := fmt.Sprintf("promise-%d", round)
		plane.Namespace(t, space)
		plane.AddNode(t, kubetest.Node{Name: space, CPUs: m.Slots, Memory: 8, Labels: map[string]string{"pool": space}})
		w := &watched{reasons: map[string]nexus.Reason{}}
		c := startController(t, plane, app.ControllerOptions{Namespace: space, Nodes: "pool=" + space}, w)
		t.Cleanup(func() { plane.Kubectl("delete", "nexusjobs", "--all", "--namespace="+space) })
		return cluster{t: t, plane: plane, space: space, agents: plane.Agents(t, space), controller: c, watched: w}
	})
}

func startController(t *testing.T, plane *kubetest.Plane, opts app.ControllerOptions, w *watched) *app.Controller {
	t.Helper()
	opts.Kubeconfig, opts.Image, opts.LauncherImage = cmp.Or(opts.Kubeconfig, plane.Kubeconfig), cmp.Or(opts.Image, "none"), cmp.Or(opts.LauncherImage, "none")
	opts.Backoff = 100 * time.Millisecond
	if w != nil {
		opts.Observers = append(opts.Observers, w)
	}
	c, err := app.NewController(opts)
	if err != nil {
		t.Fatal(err)
	}
	c.Start()
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// watched remembers the last reason of each job.
type watched struct {
	mu      sync.Mutex
	reasons map[string]nexus.Reason
}

func (w *watched) Observe(c nexus.Cycle, _ func() nexus.Snapshot) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, h := range c.Plan.Hold {
		w.reasons[h.Job] = h.Reason
	}
}

// cluster is a namespace of a control plane as the suite sees it. A job is known by its name.
type cluster struct {
	t          *testing.T
	plane      *kubetest.Plane
	space      string
	agents     *kubetest.Agents
	controller *app.Controller
	*watched
}

var serial struct {
	sync.Mutex
	n int
}

func (c cluster) Submit(_ context.Context, spec nexus.Spec, body clustertest.Body) (string, error) {
	serial.Lock()
	serial.n++
	name := fmt.Sprintf("%s-%d", spec.Name, serial.n)
	serial.Unlock()
	c.agents.Play(name, kubetest.Script{Until: body.Until, Exit: body.Exit})
	return name, c.apply(name, spec)
}

// apply writes the job file in its Kubernetes form.
func (c cluster) apply(name string, spec nexus.Spec) error {
	spec.Workdir = "/work"
	if spec.NoProgress == 0 {
		spec.NoProgress = nexus.Duration(15 * time.Minute)
	}
	spec.Name = ""
	document, err := json.Marshal(map[string]any{
		"apiVersion": "ainexus.io/v1alpha1", "kind": "NexusJob", "metadata": map[string]string{"name": name}, "spec": spec,
	})
	if err != nil {
		return err
	}
	if out, err := c.plane.TryKubectl(string(document), "apply", "--namespace="+c.space, "-f", "-"); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// object is what the suite wants to know of a NexusJob.
type object = kubetest.Job

func (c cluster) get(name string) (object, error) { return c.plane.Job(c.space, name) }

func (c cluster) Job(_ context.Context, name string) (nexus.Job, error) {
	o, err := c.get(name)
	s := o.Status
	j := nexus.Job{ID: o.Metadata.UID, Submitted: o.Metadata.CreationTimestamp, Phase: s.Phase, Attempt: s.Attempt, RestartsUsed: s.RestartsUsed,
		Preemptions: s.Preemptions, Started: s.Started, Finished: s.Finished}
	if j.Phase == "" {
		j.Phase = nexus.Pending
	}
	if len(s.Seats) > 0 {
		j.Placement = &nexus.Placement{Attempt: s.Attempt, Seats: make([]nexus.Seat, len(s.Seats))}
	}
	if r := s.Result; r != nil {
		j.Result = &nexus.Result{Attempt: r.Attempt, OK: r.OK, Cause: r.Cause, Exit: r.Exit, Message: r.Message}
	}
	return j, err
}

func (c cluster) Cancel(_ context.Context, name string) error {
	out, err := c.plane.TryKubectl("", "annotate", "nexusjob", name, "--namespace="+c.space, "ainexus.io/stop=cancel")
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

func (c cluster) Open(gate string) { c.agents.Open(gate) }

func (c cluster) KillAgent(ctx context.Context, name string) error {
	o, err := c.get(name)
	if err != nil {
		return err
	}
	return c.agents.Lose(ctx, name, o.Status.Attempt)
}

func (c cluster) Reason(_ context.Context, name string) (nexus.Reason, error) {
	o, err := c.get(name)
	if err != nil {
		return nexus.Reason{}, err
	}
	c.watched.mu.Lock()
	defer c.watched.mu.Unlock()
	return c.watched.reasons[o.Metadata.UID], nil
}

// until waits until a job is as it should be.
func (c cluster) until(name, what string, ok func(object) bool) object {
	c.t.Helper()
	return c.plane.UntilJob(c.t, c.space, name, what, ok)
}

func (c cluster) phase(name string, phase nexus.Phase) object {
	c.t.Helper()
	return c.until(name, string(phase), func(o object) bool { return o.Status.Phase == phase })
}

// document applies a document as it is.
func (c cluster) document(text string) {
	c.t.Helper()
	c.plane.Apply(c.t, c.space, text)
}

// patience is how long a test waits for what must come. Loaded machines are slow.
const patience = 3 * time.Minute
