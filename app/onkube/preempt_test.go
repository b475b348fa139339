package onkube

import (
	"strings"
	"time"

	"ainexus.io/cluster/kube/kubetest"
	"ainexus.io/nexus"
)

// Preemption goes step by step, and each step stands in the objects before the next: the seats are reserved, their holder
// is asked to stop and until when, it says what it saved, it is gone, the preemptor starts. Who controls the cluster may
// change in between, and nobody else gets what becomes free. The test plays the agents, who take their time to save.
func preemptionGoesStepByStep(c cluster) {
	c.job("low", 2, 8, "  priority: low", "  checkpoint: {path: /ckpt, grace: 60s}")
	c.agents.Play("low", kubetest.Script{Until: "low", Acks: true, Lingers: "saved"})
	c.phase("low", nexus.Running)
	c.job("urgent", 2, 8, "  priority: high")
	low := c.phase("low", nexus.Stopping)
	urgent := c.reason("urgent", "Preempt")
	if low.Status.StopFor != urgent.Metadata.UID || low.Status.Stop != "preempt" || low.Status.StopBy.IsZero() {
		c.t.Errorf("who has to go is %+v", low.Status)
	}
	if r := urgent.Status.Reserved; r == nil || len(r.Seats) != 2 || !strings.Contains(urgent.Status.Message, c.space+"/low") {
		c.t.Errorf("who waits for it is %+v", urgent.Status)
	}
	c.job("sneak", 1, 8)
	c.reason("sneak", "Capacity")
	c.successor()
	// Nothing is left in anybody's memory now.
	c.job("sneak2", 1, 1)
	c.reason("sneak2", "Capacity")
	if urgent = c.reason("urgent", "Preempt"); urgent.Status.Reserved == nil {
		c.t.Errorf("the successor keeps nothing for %+v", urgent.Status)
	}
	c.agents.Open("saved")
	urgent = c.phase("urgent", nexus.Running)
	if urgent.Status.Reserved != nil || urgent.Status.Attempt != 1 {
		c.t.Errorf("it runs as %+v", urgent.Status)
	}
	for name, attempt := range map[string]int{"low": 1, "sneak": 0, "sneak2": 0} {
		if o, err := c.get(name); err != nil || o.Status.Attempt != attempt || o.Status.Phase != nexus.Pending {
			c.t.Errorf("%s is %+v, %v", name, o.Status, err)
		}
	}
	low, err := c.get("low")
	if s := low.Status.Checkpoint; err != nil || s == nil || s.Attempt != 1 || s.Step != 7 || s.Path != "ckpt" || low.Status.Preemptions != 1 || low.Status.RestartsUsed != 0 {
		c.t.Errorf("who had to go has %+v, %v", low.Status, err)
	}
	c.story("low", "Admitted", "Running", "Stopping", "Saved", "Preempted")
	c.story("urgent", "Reserved", "Admitted", "Running")
	for _, gate := range []string{"urgent", "sneak", "sneak2", "low"} {
		c.agents.Open(gate)
	}
	for _, name := range []string{"urgent", "sneak", "sneak2", "low"} {
		c.phase(name, nexus.Succeeded)
	}
}

// A preemptor that gives up releases what was kept for it, and who was asked to make room comes back.
func preemptorThatGivesUp(c cluster) {
	c.job("low", 1, 8, "  priority: low")
	c.agents.Play("low", kubetest.Script{Until: "low", Lingers: "gone"})
	c.job("other", 1, 8)
	c.phase("low", nexus.Running)
	c.phase("other", nexus.Running)
	c.job("urgent", 1, 8, "  priority: high")
	c.phase("low", nexus.Stopping)
	c.plane.Kubectl("annotate", "nexusjob", "urgent", "--namespace="+c.space, "ainexus.io/stop=cancel")
	if o := c.phase("urgent", nexus.Cancelled); o.Status.Reserved != nil {
		c.t.Errorf("it is over and keeps %+v", o.Status.Reserved)
	}
	c.agents.Open("gone")
	c.until("low", "in its second attempt", func(o object) bool { return o.Status.Phase == nexus.Running && o.Status.Attempt == 2 })
}

// successor has another controller go on where this one is.
func (c *cluster) successor() {
	c.t.Helper()
	if err := c.controller.Stop(); err != nil {
		c.t.Fatal(err)
	}
	c.controller = startController(c.t, c.plane, storyOptions(c.space), c.watched)
}

// story waits until Events tell of all this.
func (c cluster) story(name string, what ...string) {
	c.t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		told := strings.Fields(c.plane.Kubectl("get", "events", "--namespace="+c.space, "--field-selector=involvedObject.name="+name, "-o", "jsonpath={.items[*].reason}"))
		missing := ""
		for _, w := range what {
			found := false
			for _, t := range told {
				found = found || t == w
			}
			if !found {
				missing = w
			}
		}
		if missing == "" {
			return
		}
		if time.Now().After(end) {
			c.t.Errorf("no Event of %s tells of %s: %v", name, missing, told)
			return
		}
	}
}
