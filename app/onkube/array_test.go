package onkube

import (
	"fmt"
	"strings"

	"ainexus.io/cluster/kube/kubetest"
	"ainexus.io/nexus"
)

// An array is applied as one object. Its members are made for it, so many run at once, and its record says how they end. What it is
// asked counts for all of them, a member that was deleted stays away, and all of them go with it.
func arraysRunTheirMembers(c cluster) {
	array := func(name, indices string, more ...string) {
		c.document(fmt.Sprintf("apiVersion: ainexus.io/v1alpha1\nkind: NexusJob\nmetadata: {name: %s}\nspec:\n  array: %q\n  resources: {gpus: 1}\n  run: train\n%s",
			name, indices, strings.Join(more, "\n")))
	}
	for i := range 6 {
		c.agents.Play(fmt.Sprintf("sweep-%d", i), kubetest.Script{Until: fmt.Sprintf("sweep-%d", i)})
	}
	array("sweep", "0-5%2")
	c.job("then", 1, 1, "  after: [{job: sweep, \"on\": any}]")
	c.until("sweep", "running", func(o object) bool { return o.Status.Phase == nexus.Running && o.Status.Reason == "Array" })
	c.phase("sweep-0", nexus.Running)
	c.phase("sweep-1", nexus.Running)
	for _, name := range []string{"sweep-2", "sweep-5"} {
		if o := c.reason(name, "Array"); o.Status.Message != "2 of 2 members of the array run, which is as many as may at once" {
			c.t.Errorf("%s is told %q", name, o.Status.Message)
		}
	}
	env := c.plane.Kubectl("get", "pods", "--namespace="+c.space, "-l", "ainexus.io/job=sweep-1", "-o",
		`jsonpath={range .items[0].spec.containers[0].env[*]}{.name}={.value}{"\n"}{end}`)
	for _, want := range []string{"NEXUS_ARRAY_ID=sweep", "NEXUS_ARRAY_INDEX=1", "NEXUS_ARRAY_SIZE=6"} {
		if !strings.Contains(env, want+"\n") {
			c.t.Errorf("%s is not in the environment:\n%s", want, env)
		}
	}
	c.plane.Kubectl("annotate", "nexusjob", "sweep", "--namespace="+c.space, "ainexus.io/hold=root")
	c.reason("sweep-2", "Held")
	c.plane.Kubectl("delete", "nexusjob", "sweep-5", "--namespace="+c.space)
	c.agents.Open("sweep-0")
	c.phase("sweep-0", nexus.Succeeded)
	c.plane.Kubectl("annotate", "nexusjob", "sweep", "--namespace="+c.space, "ainexus.io/hold-")
	c.phase("sweep-2", nexus.Running)
	c.reason("then", "After")
	c.agents.Play("sweep-3", kubetest.Script{Exit: 4})
	for _, i := range []int{1, 2, 4} {
		c.agents.Open(fmt.Sprintf("sweep-%d", i))
	}
	if o := c.phase("sweep", nexus.Failed); o.Status.Message != "of 5 members 4 succeeded, 1 failed, 0 were cancelled" || o.Status.Finished.IsZero() {
		c.t.Errorf("it ended as %+v", o.Status)
	}
	c.plane.Until("a warning that it failed", func() error {
		return differs(c.plane.Kubectl("get", "events", "--namespace="+c.space, "--field-selector=involvedObject.name=sweep,reason=Failed", "-o", "jsonpath={.items[*].type}"), "Warning")
	})
	c.phase("then", nexus.Running)
	c.agents.Open("then")

	// More than are made at a time, asked to stop by one word.
	array("many", "0-59", "  priority: low")
	c.phase("many", nexus.Running)
	c.plane.Kubectl("annotate", "nexusjob", "many", "--namespace="+c.space, "ainexus.io/stop=cancel")
	c.phase("many", nexus.Cancelled)
	c.plane.Kubectl("delete", "nexusjob", "many", "--namespace="+c.space)
	c.plane.Until("its members gone", func() error {
		if left := c.plane.Kubectl("get", "nexusjobs", "--namespace="+c.space, "-l", "ainexus.io/array=many", "-o", "name"); left != "" {
			return fmt.Errorf("there are %s", left)
		}
		return nil
	})

	// One that is made anew waits until what an earlier one left is gone, and then has members of its own.
	for i := range 2 {
		c.agents.Play(fmt.Sprintf("anew-%d", i), kubetest.Script{})
	}
	array("anew", "0-1")
	c.phase("anew", nexus.Succeeded)
	c.plane.Kubectl("patch", "nexusjob", "anew-1", "--namespace="+c.space, "--type=merge", `--patch={"metadata":{"finalizers":["test.ainexus.io/stays"]}}`)
	c.plane.Kubectl("delete", "nexusjob", "anew", "--namespace="+c.space)
	array("anew", "0-1")
	c.reason("anew", "Members")
	c.plane.Kubectl("patch", "nexusjob", "anew-1", "--namespace="+c.space, "--type=merge", `--patch={"metadata":{"finalizers":null}}`)
	if o := c.phase("anew", nexus.Succeeded); o.Status.Message != "of 2 members 2 succeeded, 0 failed, 0 were cancelled" {
		c.t.Errorf("made anew it ended as %+v", o.Status)
	}
	if out, err := c.plane.TryKubectl("", "patch", "nexusjob", "anew", "--namespace="+c.space, "--type=merge", `--patch={"spec":{"array":null}}`); err == nil || !strings.Contains(out, "spec.array") {
		c.t.Errorf("it may become a job: %v, %s", err, out)
	}

	// What cannot be made says why, and can be cancelled.
	array("wide", "0-1000")
	if o := c.reason("wide", "Invalid"); !strings.Contains(o.Status.Message, "spec.array: it has 1001 members, and on a cluster an array has at most 1000") {
		c.t.Errorf("it is told %q", o.Status.Message)
	}
	c.plane.Kubectl("annotate", "nexusjob", "wide", "--namespace="+c.space, "ainexus.io/stop=cancel")
	c.phase("wide", nexus.Cancelled)
	c.job("blocked-1", 1, 1)
	array("blocked", "0-1")
	if o := c.reason("blocked", "Members"); !strings.Contains(o.Status.Message, "member 1 cannot be made") {
		c.t.Errorf("it is told %q", o.Status.Message)
	}

	// One that is being deleted makes no more, also in the place of those that go before it.
	finalizers := func(list string) {
		c.plane.Kubectl("patch", "nexusjob", "blocked", "--namespace="+c.space, "--type=merge", `--patch={"metadata":{"finalizers":`+list+`}}`)
	}
	finalizers(`["test.ainexus.io/stays"]`)
	c.plane.Kubectl("delete", "nexusjob", "blocked", "--namespace="+c.space, "--wait=false")
	c.plane.Kubectl("delete", "nexusjob", "blocked-0", "--namespace="+c.space)
	c.phase("blocked", nexus.Cancelled)
	finalizers("null")
}
