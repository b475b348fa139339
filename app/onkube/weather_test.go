package onkube

import (
	"bytes"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ainexus.io/app"
	"ainexus.io/cluster/kube/kubetest"
	"ainexus.io/nexus"
)

var away = flag.Duration("away", 6*time.Second, "how long the API server is away in bad weather")

// An API server that is slow, answers 409, 429 and 500 at random, does what it was asked and says that it did not, breaks
// connections, and is away for a while, loses nothing: every job comes to the end that it would have had, at the same price.
func TestKubeBadWeather(t *testing.T) {
	plane := kubetest.Start(t)
	plane.Namespace(t, "weather")
	for _, n := range []string{"n1", "n2"} {
		plane.AddNode(t, kubetest.Node{Name: n, CPUs: 64, Memory: 512, GPUs: 8, Model: "NVIDIA-H100-80GB-HBM3", GPUMiB: 81559, Labels: map[string]string{"pool": "weather"}})
	}
	c := cluster{t: t, plane: plane, space: "weather", agents: plane.Agents(t, "weather"), watched: &watched{reasons: map[string]nexus.Reason{}}}
	t.Cleanup(func() { plane.Kubectl("delete", "nexusjobs", "--all", "--namespace=weather") })
	proxy := plane.Proxy(t, plane.Kubeconfig)
	w := &witness{t: t, jobs: map[string]*seen{}, made: map[string]int{}}
	proxy.After(w.see)
	t.Logf("seed %d", *seed)
	sky := &sky{random: rand.New(rand.NewPCG(*seed, 4)), counts: map[int]int{}}
	proxy.Before(sky.ask)
	kept := c.keepStarting(proxy.Kubeconfig)

	c.job("low", 2, 8, "  priority: low", "  checkpoint: {path: /ckpt, grace: 30s}", "  restart: {max: 1}")
	c.agents.Play("low", kubetest.Script{Until: "low", Acks: true, Fails: 2})
	c.phase("low", nexus.Running)
	for i := range 6 {
		c.job(fmt.Sprint("small-", i), 1, 4)
	}
	c.phase("low", nexus.Pending)
	sky.away(true)
	proxy.Cut()
	for i := range 6 {
		c.agents.Open(fmt.Sprint("small-", i)) // some run already, and end while nobody sees it
	}
	time.Sleep(*away) // nobody waits for anything here: for so long it is away
	sky.away(false)
	for i := range 6 {
		if o := c.phase(fmt.Sprint("small-", i), nexus.Succeeded); o.Status.Attempt != 1 || o.Status.RestartsUsed != 0 {
			t.Errorf("small-%d ended as %+v", i, o.Status)
		}
	}
	c.until("low", "in its third attempt", func(o object) bool { return o.Status.Attempt == 3 && o.Status.Phase == nexus.Running })
	c.agents.Open("low")
	if o := c.phase("low", nexus.Succeeded); o.Status.RestartsUsed != 1 || o.Status.Preemptions != 1 {
		t.Errorf("low ended as %+v", o.Status)
	}
	t.Logf("it was started %d times", kept())
	t.Logf("requests by what became of them (0: passed on): %v", sky.counted())
}

// keepStarting has a controller run, and another when that could not renew its Lease, as a Deployment does. It gives how many
// there were.
func (c cluster) keepStarting(kubeconfig string) func() int64 {
	var started atomic.Int64
	over, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			opts := storyOptions(c.space)
			opts.Kubeconfig, opts.Image, opts.Backoff = kubeconfig, "none", 100*time.Millisecond
			opts.Logger = slog.New(slog.NewTextHandler(c.t.Output(), &slog.HandlerOptions{Level: slog.LevelError}))
			controller, err := app.NewController(opts)
			if err != nil {
				c.t.Error(err)
				return
			}
			controller.Start()
			started.Add(1)
			select {
			case <-controller.Lost():
				_ = controller.Stop() // it cannot release what it lost
			case <-over:
				if err := controller.Stop(); err != nil {
					c.t.Error(err)
				}
				return
			}
		}
	}()
	c.t.Cleanup(func() {
		close(over)
		<-done
	})
	return started.Load
}

// sky is the weather.
type sky struct {
	mu     sync.Mutex
	random *rand.Rand
	gone   bool
	counts map[int]int
}

// ask decides what becomes of a request.
func (s *sky) ask(r *http.Request) int {
	status, slow := s.decide(r)
	if slow > 0 {
		time.Sleep(slow)
	}
	return status
}

func (s *sky) decide(r *http.Request) (status int, slow time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { s.counts[status]++ }()
	write := r.Method != http.MethodGet
	switch n := s.random.IntN(100); {
	case s.gone:
		status = kubetest.Away
	case n < 6:
		status = http.StatusInternalServerError
	case n < 10 && write:
		status = http.StatusConflict
	case n < 12:
		status = http.StatusTooManyRequests
	case n < 18 && write:
		status = kubetest.Deaf
	case n < 22:
		status = kubetest.Away
	case n < 50:
		slow = time.Duration(s.random.IntN(200)) * time.Millisecond
	}
	return status, slow
}

func (s *sky) away(is bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone = is
}

func (s *sky) counted() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Sprint(s.counts)
}

// all is what a controller may do, and no more; lacking is what the first controller of the test may not.
const all = `
- {apiGroups: [ainexus.io], resources: [nexusjobs], verbs: [get, list, watch]}
- {apiGroups: [ainexus.io], resources: [nexusjobs/status], verbs: [update]}
- {apiGroups: [batch], resources: [jobs], verbs: [get, list, watch, create, delete]}
- {apiGroups: [""], resources: [pods, nodes], verbs: [list, watch]}
- {apiGroups: [coordination.k8s.io], resources: [leases], verbs: [get, create, update]}
`

const lacking = `
- {apiGroups: [ainexus.io], resources: [nexusqueues], verbs: [list, watch]}
- {apiGroups: [""], resources: [services], verbs: [get, create]}
- {apiGroups: [""], resources: [events], verbs: [create]}
`

// A controller that may not do something says which rule is missing, and serves those who do not need it. When it is given
// the rule, the others go on too.
func TestKubeMissingPermissions(t *testing.T) {
	plane := kubetest.Start(t)
	plane.Namespace(t, "rights")
	for _, n := range []string{"n1", "n2"} {
		plane.AddNode(t, kubetest.Node{Name: n, CPUs: 64, Memory: 512, GPUs: 8, Model: "NVIDIA-H100-80GB-HBM3", GPUMiB: 81559, Labels: map[string]string{"pool": "rights"}})
	}
	c := cluster{t: t, plane: plane, space: "rights", agents: plane.Agents(t, "rights"), watched: &watched{reasons: map[string]nexus.Reason{}}}
	t.Cleanup(func() { plane.Kubectl("delete", "nexusjobs", "--all", "--namespace=rights") })
	roles := func(rules string) {
		c.document(fmt.Sprintf(`
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: nexus-controller}
rules:%s---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: nexus-controller}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: nexus-controller}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: nexus}]
`, rules))
	}
	roles(all)
	said := &lines{}
	startController(t, plane, app.ControllerOptions{Namespace: "rights", Nodes: "pool=rights", Policed: []string{"rights"}, Kubeconfig: plane.User("nexus"),
		Logger: slog.New(slog.NewTextHandler(said, nil))}, c.watched)
	c.job("one", 1, 8)
	c.phase("one", nexus.Running)
	c.agents.Open("one")
	c.phase("one", nexus.Succeeded)
	c.job("two", 2, 8)
	o := c.until("two", "told", func(o object) bool { return o.Status.Phase == nexus.Pending && o.Status.Attempt > 0 })
	if !strings.Contains(o.Status.Message, `cannot create resource "services"`) {
		t.Errorf("it is told %q", o.Status.Message)
	}
	missing := func(rule string) {
		t.Helper()
		for end := time.Now().Add(patience); !strings.Contains(said.String(), rule); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("nobody says that %s is missing:\n%s", rule, said)
			}
		}
	}
	for _, rule := range []string{`resources: [\"nexusqueues\"], verbs: [\"list\"]`, `resources: [\"services\"], verbs: [\"create\"]`, `resources: [\"events\"], verbs: [\"create\"]`} {
		missing(rule)
	}
	roles(all + strings.TrimPrefix(lacking, "\n"))
	c.until("two", "told of the next", func(o object) bool {
		return strings.Contains(o.Status.Message, `cannot create resource "networkpolicies"`)
	})
	missing(`apiGroups: [\"networking.k8s.io\"], resources: [\"networkpolicies\"], verbs: [\"create\"]`)
	roles(all + strings.TrimPrefix(lacking, "\n") + "- {apiGroups: [networking.k8s.io], resources: [networkpolicies], verbs: [get, create]}\n")
	c.phase("two", nexus.Running)
	c.agents.Open("two")
	c.phase("two", nexus.Succeeded)
}

// lines is a log that is read while it is written.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
