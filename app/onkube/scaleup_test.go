package onkube

import (
	"fmt"
	"strings"
	"time"

	"ainexus.io/cluster/kube/kubetest"
	"ainexus.io/nexus"
)

// untilPods waits until so many pods of a job are bound, or refused by the kube-scheduler, for a reason.
func (c cluster) untilPods(job, reason string, n int) {
	c.t.Helper()
	for end := time.Now().Add(3 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		is := c.plane.Kubectl("get", "pods", "--namespace="+c.space, "-l", "ainexus.io/job="+job, "-o", "jsonpath={.items[*].status.conditions[*].reason}")
		if strings.Count(is, reason) == n {
			return
		}
		if time.Now().After(end) {
			c.t.Fatalf("there are never %d pods of %s that are %s: %s", n, job, reason, is)
		}
	}
}

// A gang of a queue with scale_up that no nodes are there for is begun, so that an autoscaler sees its pods; the test plays
// that one and adds a node when there are Unschedulable pods of it. In another queue the same gang waits and has no pods. The
// queue's quota holds here as anywhere.
func autoscalerSeesAGang(c cluster) {
	c.document("apiVersion: ainexus.io/v1alpha1\nkind: NexusQueue\nmetadata: {name: cloud}\nspec: {scale_up: true, quota: [{gpus: 24}]}\n")
	c.job("patient", 3, 8)
	c.reason("patient", "Unfit")
	c.job("gang", 3, 8, "  queue: cloud")
	o := c.until("gang", "seen by an autoscaler", func(o object) bool { return o.Status.Reason == "ScaleUp" })
	if o.Status.Phase != nexus.Starting || len(o.Status.Seats) != 3 {
		c.t.Errorf("it is %+v", o.Status)
	}
	c.untilPods("gang", "Unschedulable", 1)
	if list := c.attempts("patient"); len(list) > 0 {
		c.t.Errorf("the one in another queue has %v", list)
	}
	c.job("over", 1, 8, "  queue: cloud")
	c.reason("over", "Quota")
	c.job("giant", 1, 16, "  queue: cloud")
	c.reason("giant", "Unfit")

	name := c.space + "-new"
	c.plane.AddNode(c.t, kubetest.Node{Name: name, CPUs: 64, Memory: 512, GPUs: 8, Model: "NVIDIA-H100-80GB-HBM3", GPUMiB: 81559, Labels: map[string]string{"pool": c.space}})
	o = c.phase("gang", nexus.Running)
	at := map[string]bool{}
	for _, s := range o.Status.Seats {
		at[s.Node] = true
	}
	if len(at) != 3 || !at[name] || strings.Contains(fmt.Sprint(at), "template") {
		c.t.Errorf("its seats are %v", at)
	}
	for _, name := range []string{"gang", "over", "patient"} { // which of the two that wait is first, and has all nodes perhaps, is the planner's affair
		c.agents.Open(name)
	}
	for _, name := range []string{"gang", "over", "patient"} {
		c.phase(name, nexus.Succeeded)
	}
}
