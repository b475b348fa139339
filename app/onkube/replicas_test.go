package onkube

import (
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"ainexus.io/app"
	"ainexus.io/cluster/kube/kubetest"
	"ainexus.io/nexus"
)

// leased is short, so that a test need not wait for long, and long enough that a slow machine renews in time.
const leased = 7 * time.Second

// counted is a proxy that counts writes that are no Lease's.
func counted(t *testing.T, plane *kubetest.Plane) (*kubetest.Proxy, *atomic.Int64) {
	t.Helper()
	proxy, writes := plane.Proxy(t, plane.Kubeconfig), &atomic.Int64{}
	proxy.Before(func(r *http.Request) int {
		if r.Method != http.MethodGet && !strings.Contains(r.URL.Path, "/leases") {
			writes.Add(1)
		}
		return 0
	})
	return proxy, writes
}

// Two controllers run; one acts. When it is told to end it hands over at once; when it falls silent the other takes over, and
// what was silent writes nothing more when it wakes up.
func TestKubeReplicas(t *testing.T) {
	plane := kubetest.Start(t)
	plane.Namespace(t, "twice")
	plane.AddNode(t, kubetest.Node{Name: "n1", CPUs: 64, Memory: 512, GPUs: 8, Model: "NVIDIA-H100-80GB-HBM3", GPUMiB: 81559, Labels: map[string]string{"pool": "twice"}})
	c := cluster{t: t, plane: plane, space: "twice", agents: plane.Agents(t, "twice"), watched: &watched{reasons: map[string]nexus.Reason{}}}
	t.Cleanup(func() { plane.Kubectl("delete", "nexusjobs", "--all", "--namespace=twice") })
	replica := func(proxy *kubetest.Proxy) *app.Controller {
		opts := storyOptions("twice")
		opts.Kubeconfig, opts.Image, opts.LeaseDuration, opts.Backoff = proxy.Kubeconfig, "none", leased, 100*time.Millisecond
		r, err := app.NewController(opts)
		if err != nil {
			t.Fatal(err)
		}
		r.Start()
		t.Cleanup(func() { _ = r.Stop() })
		return r
	}
	holder := func() string {
		return plane.Kubectl("get", "lease", "nexus-controller", "--namespace=twice", "-o", "jsonpath={.spec.holderIdentity}")
	}
	proxyA, _ := counted(t, plane)
	a := replica(proxyA)
	<-a.Ready()
	first := holder()
	proxyB, writesB := counted(t, plane)
	b := replica(proxyB)
	c.job("one", 1, 8)
	c.phase("one", nexus.Running)
	c.job("two", 1, 8)
	c.reason("two", "Capacity")
	if holder() != first || writesB.Load() > 0 {
		t.Fatalf("%s led; now it is %s, and the other has written %d times", first, holder(), writesB.Load())
	}
	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	<-b.Ready()
	c.agents.Open("one")
	c.phase("two", nexus.Running)
	if o := c.phase("one", nexus.Succeeded); o.Status.Attempt != 1 {
		t.Errorf("over the hand-over it went as %+v", o.Status)
	}

	// The next one to lead is a process that is stopped in its tracks.
	proxyS, writesS := counted(t, plane)
	sleeper := child(t, proxyS.Kubeconfig, "twice", leased)
	if err := b.Stop(); err != nil {
		t.Fatal(err)
	}
	second := ""
	for end := time.Now().Add(patience); second == "" && time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		second = holder()
	}
	c.agents.Open("two")
	c.phase("two", nexus.Succeeded)
	if err := sleeper.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	c.job("three", 1, 8)
	proxyC, _ := counted(t, plane)
	third := replica(proxyC)
	<-third.Ready()
	c.phase("three", nexus.Running)
	before := writesS.Load()
	c.agents.Open("three")
	if err := sleeper.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if err := sleeper.Wait(); err == nil {
		t.Error("who leads no longer ended as if all were well")
	}
	if after := writesS.Load(); after != before || second == "" || holder() == second {
		t.Errorf("%q led; it wrote %d times after it had been silent, and %q leads", second, after-before, holder())
	}
	c.phase("three", nexus.Succeeded)

	// And one that is cut off gives up by itself.
	proxyC.Before(func(*http.Request) int { return kubetest.Away })
	proxyC.Cut()
	select {
	case <-third.Lost():
	case <-time.After(patience):
		t.Error("who cannot renew goes on")
	}
}
