package onkube

import (
	"strings"
	"testing"

	"ainexus.io/cluster/kube/kubetest"
	"ainexus.io/nexus"
)

// Where the server binds gangs, a gang that finds no room for one of its pods holds nothing while it is told so: no pod of it is
// bound, where one would be otherwise. When there is room all of it is.
func TestKubeGangIsBoundAsAWhole(t *testing.T) {
	plane := kubetest.StartWithGangs(t)
	plane.Namespace(t, "gangs")
	for _, n := range []string{"gangs-a", "gangs-b"} {
		plane.AddNode(t, kubetest.Node{Name: n, CPUs: 64, Memory: 512, GPUs: 8, Model: "NVIDIA-H100-80GB-HBM3", GPUMiB: 81559, Labels: map[string]string{"pool": "gangs"}, Pods: 1})
	}
	c := cluster{t: t, plane: plane, space: "gangs", agents: plane.Agents(t, "gangs"), watched: &watched{reasons: map[string]nexus.Reason{}}}
	c.controller = startController(t, plane, storyOptions("gangs"), c.watched)
	t.Cleanup(func() { plane.Kubectl("delete", "nexusjobs", "--all", "--namespace=gangs") })
	c.stranger("full", "gangs-a", 1) // takes the one pod that the node has room for, which no plan counts
	c.job("gang", 2, 4)
	o := c.until("gang", "back in line", func(o object) bool {
		return o.Status.Attempt >= 1 && o.Status.Phase == nexus.Pending && o.Status.Result != nil
	})
	if !strings.Contains(o.Status.Result.Message, "no room was found") {
		t.Errorf("it is told %q", o.Status.Result.Message)
	}
	if bound := plane.Kubectl("get", "events", "--namespace=gangs", "--field-selector=reason=Scheduled", "-o", "jsonpath={.items[*].involvedObject.name}"); bound != "full" {
		t.Errorf("these were bound: %s", bound)
	}
	plane.Kubectl("delete", "pod", "full", "--namespace=gangs")
	o = c.phase("gang", nexus.Running)
	if got := plane.Kubectl("get", "podgroups", "--namespace=gangs", "-o", "jsonpath={range .items[*]}{.metadata.name} {.spec.schedulingPolicy.gang.minCount} {.metadata.ownerReferences[0].kind}{end}"); got != c.attempts("gang")[len(c.attempts("gang"))-1]+" 2 NexusJob" {
		t.Errorf("its group is %s, its attempts %v", got, c.attempts("gang"))
	}
	c.agents.Open("gang")
	c.phase("gang", nexus.Succeeded)
	if left := plane.Kubectl("get", "podgroups", "--namespace=gangs", "-o", "name"); left != "" {
		t.Errorf("left behind: %s", left)
	}
}
