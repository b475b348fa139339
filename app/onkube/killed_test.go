package onkube

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"ainexus.io/cluster/kube/kubetest"
	"ainexus.io/nexus"
)

var (
	points = flag.Int("points", 6, "how many of the writes of a story a controller is killed after; 0: all")
	seed   = flag.Uint64("killseed", 1, "which ones")
)

// A controller may be killed after any of its writes. One story is told with all there is to it: a gang is admitted, asked to make
// room, saves, goes, its preemptor comes and ends, the gang fails, which is charged, and succeeds. It is told once to
// count the writes, then anew for each of them, with a controller that is killed by -9 the moment the API server has done it, and
// another that finds what is there. The promises are checked on what the API server was asked.
func TestKubeKilledBetweenWrites(t *testing.T) {
	plane := kubetest.Start(t)
	writes, opening := killedAfter(t, plane, 0)
	if writes < 15 {
		t.Fatalf("the story has %d writes", writes)
	}
	chosen := rand.New(rand.NewPCG(*seed, 0)).Perm(writes)
	if *points > 0 {
		chosen = chosen[:min(*points, writes)]
	}
	if opening == 0 {
		t.Fatal("nobody let the pods of a gang to one another")
	}
	if !slices.Contains(chosen, opening-1) {
		chosen = append(chosen, opening-1)
	}
	t.Logf("%d writes; killed after %v (seed %d)", writes, chosen, *seed)
	t.Run("points", func(t *testing.T) {
		for _, n := range chosen {
			t.Run(fmt.Sprint(n+1), func(t *testing.T) {
				t.Parallel()
				killedAfter(t, plane, n+1)
			})
		}
	})
}

// killedAfter tells the story and has the controller killed after its n-th write; 0: never. It gives how many writes there were,
// and which was the first NetworkPolicy.
func killedAfter(t *testing.T, plane *kubetest.Plane, n int) (writes, opening int) {
	t.Helper()
	space := fmt.Sprintf("killed-%d", n)
	plane.Namespace(t, space)
	for _, node := range []string{"a", "b"} {
		plane.AddNode(t, kubetest.Node{Name: space + "-" + node, CPUs: 64, Memory: 512, GPUs: 8, Model: "NVIDIA-H100-80GB-HBM3",
			GPUMiB: 81559, Labels: map[string]string{"pool": space}})
	}
	c := cluster{t: t, plane: plane, space: space, agents: plane.Agents(t, space)}
	proxy := plane.Proxy(t, plane.Kubeconfig)
	w := &witness{t: t, kill: n, told: make(chan struct{}), jobs: map[string]*seen{}, made: map[string]int{}}
	proxy.After(w.see)
	t.Cleanup(func() { plane.Kubectl("delete", "nexusjobs", "--all", "--namespace="+space) })
	w.start(child(t, proxy.Kubeconfig, space, 0))
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-w.told:
			w.start(child(t, proxy.Kubeconfig, space, 0))
		case <-done:
		}
	}()

	c.job("low", 2, 8, "  priority: low", "  checkpoint: {path: /ckpt, grace: 30s}", "  restart: {max: 1}")
	c.agents.Play("low", kubetest.Script{Until: "low", Acks: true, Fails: 2})
	c.phase("low", nexus.Running)
	c.job("urgent", 2, 8, "  priority: high")
	c.phase("urgent", nexus.Running)
	c.agents.Open("urgent")
	c.phase("urgent", nexus.Succeeded)
	c.until("low", "in its third attempt", func(o object) bool { return o.Status.Attempt == 3 && o.Status.Phase == nexus.Running })
	c.agents.Open("low")
	low := c.phase("low", nexus.Succeeded)
	if s := low.Status; s.Attempt != 3 || s.RestartsUsed != 1 || s.Preemptions != 1 {
		t.Errorf("it ended as %+v", s)
	}
	if o, err := c.get("urgent"); err != nil || o.Status.Attempt != 1 || o.Status.RestartsUsed != 0 || o.Status.Preemptions != 0 {
		t.Errorf("its preemptor ended as %+v, %v", o.Status, err)
	}
	for _, name := range []string{"low", "urgent"} {
		if owner := plane.Kubectl("get", "networkpolicy", name+"-workers", "--namespace="+space, "-o", "jsonpath={.metadata.ownerReferences[0].name}"); owner != name {
			t.Errorf("the policy of %s is %q's", name, owner)
		}
	}
	return w.end(), w.opening
}

// witness sees each write that was done, and checks the promises on them.
type witness struct {
	t    *testing.T
	kill int
	told chan struct{} // closed when the controller was killed

	mu      sync.Mutex
	process *exec.Cmd
	writes  int
	opening int // the first write of a NetworkPolicy
	last    string
	jobs    map[string]*seen
	made    map[string]int // Jobs, by name
}

// seen is the record of a job as last written.
type seen struct {
	Phase                 nexus.Phase
	Attempt, RestartsUsed int
	Seats                 []struct {
		Node string
		GPUs []int
	}
}

func (w *witness) start(c *exec.Cmd) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.process = c
}

// see is called for each write that the API server has answered.
func (w *witness) see(r *http.Request, body []byte, status int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if strings.HasSuffix(r.URL.Path, "/events") || status >= 300 {
		return
	}
	w.writes++
	w.last = r.Method + " " + r.URL.Path
	switch {
	case strings.HasSuffix(r.URL.Path, "/status"):
		w.recorded(body)
	case strings.HasSuffix(r.URL.Path, "/networkpolicies") && w.opening == 0:
		w.opening = w.writes
	case r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/jobs"):
		w.created(body)
	}
	if w.writes == w.kill {
		w.t.Logf("killed after write %d: %s", w.writes, w.last)
		if err := w.process.Process.Kill(); err != nil {
			w.t.Error(err)
		}
		close(w.told)
	}
}

// recorded checks a record: no attempt and no restart is taken back, and no GPU is two jobs'.
func (w *witness) recorded(body []byte) {
	var o struct {
		Metadata struct{ Name string }
		Status   seen
	}
	if err := json.Unmarshal(body, &o); err != nil {
		w.t.Error(err)
		return
	}
	name, now := o.Metadata.Name, &o.Status
	if before := w.jobs[name]; before != nil && (now.Attempt < before.Attempt || now.RestartsUsed < before.RestartsUsed) {
		w.t.Errorf("%s was %+v and is %+v", name, before, now)
	}
	w.jobs[name] = now
	holder := map[string]string{}
	for name, j := range w.jobs {
		for _, s := range j.Seats {
			for _, g := range s.GPUs {
				place := fmt.Sprintf("%s/%d", s.Node, g)
				if other := holder[place]; other != "" {
					w.t.Errorf("%s is %s's and %s's", place, other, name)
				}
				holder[place] = name
			}
		}
	}
}

// created checks a Job: its attempt was recorded before, and it is the only one.
func (w *witness) created(body []byte) {
	name, attempt, err := kubetest.JobName(body)
	if err != nil {
		w.t.Error(err)
		return
	}
	w.made[name]++
	job := strings.TrimSuffix(name, "-"+attempt)
	if j := w.jobs[job]; j == nil || fmt.Sprint(j.Attempt) != attempt || w.made[name] > 1 {
		w.t.Errorf("Job %s was made, the %d. time, when its record was %+v", name, w.made[name], j)
	}
}

// end gives how many writes there were.
func (w *witness) end() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.kill > 0 && w.writes < w.kill {
		w.t.Logf("there were only %d writes", w.writes)
	}
	return w.writes
}
