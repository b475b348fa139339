package onkube

import (
	"strings"

	"ainexus.io/cluster/kube/kubetest"
	"ainexus.io/nexus"
)

// Jobs wait for others of their namespace, by what the records say: also for one that is not there yet. Who needs a success that does not come is cancelled, and so is who waits for him.
func jobsWaitForOthers(c cluster) {
	c.job("first", 1, 1)
	c.job("second", 1, 1, "  after: [{job: first}]")
	if o := c.reason("second", "After"); !strings.Contains(o.Status.Message, c.space+"/first") {
		c.t.Errorf("it is told %q", o.Status.Message)
	}
	c.job("early", 1, 1, "  after: [{job: late, \"on\": any}]")
	if o := c.reason("early", "Invalid"); !strings.Contains(o.Status.Message, "spec.after[0].job: there is no NexusJob late in namespace "+c.space) {
		c.t.Errorf("it is told %q", o.Status.Message)
	}
	c.job("third", 1, 1, "  after: [{job: late}]")
	c.job("fourth", 1, 1, "  after: [{job: third}, {job: first, \"on\": any}]")
	c.job("loop", 1, 1, "  after: [{job: loop}]")
	c.reason("loop", "Invalid")
	c.job("orphan", 1, 1, "  after: [{job: gone}]")
	c.job("gone", 1, 1)
	c.reason("orphan", "After")
	c.job("late", 1, 1)
	c.reason("early", "After")
	c.reason("fourth", "After")

	c.agents.Open("first")
	c.phase("second", nexus.Running)
	if o := c.phase("fourth", nexus.Pending); o.Status.Attempt != 0 {
		c.t.Errorf("the fourth did not wait: %+v", o.Status)
	}
	c.agents.Play("late", kubetest.Script{Exit: 3})
	c.phase("late", nexus.Failed)
	c.phase("early", nexus.Running)
	o := c.phase("third", nexus.Cancelled)
	if want := "job late had to succeed first, and ended as Failed"; o.Status.Message != want || o.Status.Result == nil || o.Status.Result.Cause != nexus.CauseAfter || o.Status.Attempt != 0 {
		c.t.Errorf("the third ended as %+v, %+v", o.Status, o.Status.Result)
	}
	if o := c.phase("fourth", nexus.Cancelled); o.Status.Message != "job third had to succeed first, and ended as Cancelled" {
		c.t.Errorf("the fourth ended as %+v", o.Status)
	}
	c.plane.Kubectl("delete", "nexusjob", "gone", "--namespace="+c.space)
	if o := c.reason("orphan", "Invalid"); !strings.Contains(o.Status.Message, "one that was deleted is not known to have succeeded") {
		c.t.Errorf("it is told %q", o.Status.Message)
	}
}
