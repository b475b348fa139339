package onkube

import (
	"fmt"
	"strings"
	"time"

	"ainexus.io/cluster/kube/kubetest"
	"ainexus.io/nexus"
)

// plain makes a Job of somebody's: pods of so many GPUs that wait in the default queue.
func (c cluster) plain(name string, pods, gpus int, labels string) {
	c.t.Helper()
	c.agents.Play(name, kubetest.Script{Until: name})
	c.document(fmt.Sprintf(`
apiVersion: batch/v1
kind: Job
metadata: {name: %s, labels: {ainexus.io/queue: default%s}}
spec:
  suspend: true
  parallelism: %d
  completions: %d
  template:
    spec:
      restartPolicy: Never
      affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: pool, operator: Exists}]}]}}}
      containers: [{name: main, image: none, resources: {limits: {nvidia.com/gpu: %d}}}]
`, name, labels, pods, pods, gpus))
}

// field waits until a field of a Job matches.
func (c cluster) field(job, path string, ok func(string) bool) string {
	c.t.Helper()
	for end := time.Now().Add(3 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		is := c.plane.Kubectl("get", "job", job, "--namespace="+c.space, "-o", "jsonpath={"+path+"}")
		if ok(is) {
			return is
		}
		if time.Now().After(end) {
			c.t.Fatalf("%s of Job %s is never as it should be: %s\n%s", path, job, is, c.plane.Kubectl("get", "jobs,pods", "--namespace="+c.space, "-o", "wide"))
		}
	}
}

func is(want string) func(string) bool { return func(got string) bool { return got == want } }

// A plain Job that names a queue waits in line with a true reason, begins whole on the nodes that were planned, is not
// preempted unless it says that it may be, and then is suspended, and begins again.
func foreignJobsWaitInLine(c cluster) {
	c.job("first", 2, 8)
	c.phase("first", nexus.Running)
	c.plain("plain", 4, 2, "")
	c.field("plain", `.metadata.annotations.ainexus\.io/reason`, func(s string) bool { return strings.HasPrefix(s, "Capacity: ") })
	if n := c.field("plain", ".status.active", func(string) bool { return true }); n != "" && n != "0" {
		c.t.Errorf("it waits and has %s pods", n)
	}
	c.agents.Open("first")
	c.field("plain", ".status.ready", is("4"))
	on := map[string]bool{}
	for _, node := range strings.Fields(c.plane.Kubectl("get", "pods", "--namespace="+c.space, "-l", "job-name=plain", "-o", "jsonpath={.items[*].spec.nodeName}")) {
		on[node] = true
	}
	if len(on) != 1 {
		c.t.Errorf("4 pods of 2 GPUs are on %v, and one node would have done", on)
	}

	// What is more urgent waits for it.
	c.job("urgent", 2, 8, "  priority: high")
	o := c.reason("urgent", "Capacity")
	if s := c.plane.Kubectl("get", "job", "plain", "--namespace="+c.space, "-o", "jsonpath={.spec.suspend}"); s != "false" {
		c.t.Errorf("it is suspended: %s; the other is told %q", s, o.Status.Message)
	}
	c.agents.Open("plain")
	c.field("plain", `.status.conditions[?(@.type=="Complete")].status`, is("True"))
	c.phase("urgent", nexus.Running)
	c.agents.Open("urgent")
	c.phase("urgent", nexus.Succeeded)

	// One that may be preempted is suspended again, and goes on when there is room.
	c.plain("polite", 8, 2, ", ainexus.io/preemptible: 'true'")
	c.field("polite", ".status.ready", is("8"))
	c.job("pushy", 1, 8, "  priority: high")
	c.phase("pushy", nexus.Running)
	if s := c.field("polite", ".spec.suspend", is("true")); s != "true" {
		c.t.Error(s)
	}
	events := c.plane.Kubectl("get", "events", "--namespace="+c.space, "--field-selector=involvedObject.kind=Job,involvedObject.name=polite")
	if !strings.Contains(events, "Admitted") || !strings.Contains(events, "Preempted") {
		c.t.Errorf("its Events say\n%s", events)
	}
	c.agents.Open("pushy")
	c.field("polite", ".status.ready", is("8"))
	if s := c.plane.Kubectl("get", "job", "polite", "--namespace="+c.space, "-o", `jsonpath={.metadata.annotations.ainexus\.io/state}`); !strings.Contains(s, `"preemptions":1`) || !strings.Contains(s, `"attempt":2`) {
		c.t.Errorf("its record is %s", s)
	}
	c.agents.Open("polite")
	c.field("polite", `.status.conditions[?(@.type=="Complete")].status`, is("True"))

	// Whoever starts his Job himself has it, and nothing of it is touched.
	c.document("apiVersion: batch/v1\nkind: Job\nmetadata: {name: own, labels: {ainexus.io/queue: default}}\n" +
		"spec: {template: {spec: {restartPolicy: Never, containers: [{name: main, image: none}]}}}\n")
	c.field("own", ".status.ready", is("1"))
	c.job("after", 1, 1) // by now the controller has seen it
	c.phase("after", nexus.Running)
	if s := c.plane.Kubectl("get", "job", "own", "--namespace="+c.space, "-o", "jsonpath={.metadata.annotations}{.spec.suspend}"); strings.Contains(s, "ainexus.io/state") || strings.HasSuffix(s, "true") {
		c.t.Errorf("it is touched: %s", s)
	}
	c.plane.Kubectl("delete", "job", "own", "--namespace="+c.space)
}
