package onkube

import (
	"fmt"
	"strings"

	"ainexus.io/cluster/kube/kubetest"
	"ainexus.io/nexus"
)

// MIG slices are had by profile: whole GPUs and other slices are none of them, what a stranger takes of them counts, and
// a profile that no node has is told so.
func slicesAreCountedByProfile(c cluster) {
	c.plane.AddNode(c.t, kubetest.Node{Name: c.space + "-mig", CPUs: 64, Memory: 256, MIG: map[string]int{"1g.10gb": 3, "3g.40gb": 1},
		Labels: map[string]string{"pool": c.space, "nvidia.com/mig-1g.10gb.memory": "9728", "nvidia.com/mig-3g.40gb.memory": "40192", "nvidia.com/gpu.product": "NVIDIA-A100-SXM4-80GB"}})
	job := func(name, profile string, n int) {
		c.agents.Play(name, kubetest.Script{Until: name})
		c.document(fmt.Sprintf("apiVersion: ainexus.io/v1alpha1\nkind: NexusJob\nmetadata: {name: %s}\nspec: {run: x, workers: 1, resources: {gpus: %d, mig: %s}}\n", name, n, profile))
	}
	c.document(fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: notebook}
spec:
  nodeSelector: {kubernetes.io/hostname: %s-mig}
  containers: [{name: c, image: none, resources: {limits: {nvidia.com/mig-1g.10gb: 1}}}]
`, c.space))
	c.plane.Kubectl("wait", "--namespace="+c.space, "--for=condition=Ready", "--timeout=180s", "pod/notebook")
	job("two", "1g.10gb", 2)
	o := c.phase("two", nexus.Running)
	if o.Status.Seats[0].Node != c.space+"-mig" {
		c.t.Errorf("it is on %v", o.Status.Seats)
	}
	if limits := c.plane.Kubectl("get", "pods", "--namespace="+c.space, "-l", "ainexus.io/job=two", "-o", "jsonpath={.items[0].spec.containers[0].resources.limits}"); limits != `{"nvidia.com/mig-1g.10gb":"2"}` {
		c.t.Errorf("its pod takes %s", limits)
	}
	job("third", "1g.10gb", 1)
	c.reason("third", "Capacity")
	job("large", "3g.40gb", 1)
	c.phase("large", nexus.Running)
	job("none", "7g.80gb", 1)
	if o := c.reason("none", "Unfit"); !strings.Contains(o.Status.Message, "GPU") {
		c.t.Errorf("it is told %q", o.Status.Message)
	}
	c.agents.Open("two")
	c.phase("third", nexus.Running)
}
