package onkube

import (
	"fmt"
	"strings"
	"time"

	"ainexus.io/cluster/kube/kubetest"
	"ainexus.io/nexus"
)

// Shares of a GPU are had where a driver publishes devices for several claims. The test plays that driver: it writes the
// ResourceSlice and the DeviceClass. Who gets what of a device is the real kube-scheduler's account, and its controllers make
// the claims. Two shares of 30 GiB have a device of 80 GiB, the third waits until one goes; what strangers' claims have counts;
// without the driver the cluster says that it cannot.
func sharesOfAGPU(c cluster) {
	share := func(name, memory string) {
		c.agents.Play(name, kubetest.Script{Until: name})
		c.document(fmt.Sprintf("apiVersion: ainexus.io/v1alpha1\nkind: NexusJob\nmetadata: {name: %s}\nspec: {run: x, resources: {gpu_memory: %s}}\n", name, memory))
	}
	share("one", "30GiB")
	if o := c.reason("one", "Invalid"); !strings.Contains(o.Status.Message, "this cluster cannot share GPUs") {
		c.t.Errorf("it is told %q", o.Status.Message)
	}
	node := c.space + "-dra"
	c.plane.AddNode(c.t, kubetest.Node{Name: node, CPUs: 64, Memory: 256, Labels: map[string]string{"pool": c.space}})
	c.t.Cleanup(func() { c.plane.Kubectl("delete", "resourceslice/"+node, "deviceclass/gpu.nvidia.com") })
	c.document(playedDriver(node))
	c.phase("one", nexus.Running)
	share("two", "30GiB")
	c.phase("two", nexus.Running)
	share("third", "30GiB")
	if o := c.reason("third", "Capacity"); o.Status.Attempt != 0 {
		c.t.Errorf("it was tried: %+v", o.Status)
	}
	if got := c.allocations(); got != "one-1=gpu-0:30Gi two-1=gpu-0:30Gi" {
		c.t.Errorf("the kube-scheduler gave %s", got)
	}
	if template := c.plane.Kubectl("get", "resourceclaimtemplates", "--namespace="+c.space, "-o", "jsonpath={.items[*].metadata.ownerReferences[0].kind}"); template != "NexusJob NexusJob" {
		c.t.Errorf("templates are owned by %s", template)
	}
	c.agents.Open("one")
	c.phase("one", nexus.Succeeded)
	c.phase("third", nexus.Running)
	if got := c.allocations(); got != "third-1=gpu-0:30Gi two-1=gpu-0:30Gi" {
		c.t.Errorf("then it gave %s", got)
	}
	// A stranger's claim: 15 of the 20 GiB that are left.
	c.document(`
apiVersion: resource.k8s.io/v1
kind: ResourceClaim
metadata: {name: notebook}
spec: {devices: {requests: [{name: gpu, exactly: {deviceClassName: gpu.nvidia.com, capacity: {requests: {memory: 15Gi}}}}]}}
---
apiVersion: v1
kind: Pod
metadata: {name: notebook}
spec:
  resourceClaims: [{name: gpu, resourceClaimName: notebook}]
  containers: [{name: c, image: none, resources: {claims: [{name: gpu}]}}]
`)
	c.plane.Kubectl("wait", "--namespace="+c.space, "--for=condition=Ready", "--timeout=180s", "pod/notebook")
	share("small", "10GiB")
	if o := c.reason("small", "Capacity"); o.Status.Attempt != 0 {
		c.t.Errorf("it was tried though a stranger has it: %+v", o.Status)
	}
	c.plane.Kubectl("delete", "pod/notebook", "resourceclaim/notebook", "--namespace="+c.space)
	c.phase("small", nexus.Running)
	// What somebody else calls as an attempt would call its own is not taken, and not taken away.
	c.document(`
apiVersion: resource.k8s.io/v1
kind: ResourceClaimTemplate
metadata: {name: tiny-1}
spec: {spec: {devices: {requests: [{name: gpu, exactly: {deviceClassName: gpu.nvidia.com}}]}}}
`)
	share("tiny", "5GiB")
	if o := c.phase("tiny", nexus.Running); o.Status.Attempt < 2 {
		c.t.Errorf("it runs as %+v", o.Status)
	}
	c.plane.Kubectl("delete", "resourceclaimtemplate/tiny-1", "--namespace="+c.space)
	share("huge", "100GiB")
	if o := c.reason("huge", "Unfit"); !strings.Contains(o.Status.Message, "80") {
		c.t.Errorf("it is told %q", o.Status.Message)
	}
	// A whole GPU is none of these.
	c.job("whole", 1, 8)
	if o := c.phase("whole", nexus.Running); o.Status.Seats[0].Node == node {
		c.t.Errorf("a whole GPU was taken of %s", node)
	}
	for _, name := range []string{"two", "third", "small", "tiny", "whole"} {
		c.agents.Open(name)
		c.phase(name, nexus.Succeeded)
	}
	for end := time.Now().Add(3 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		left := c.plane.Kubectl("get", "resourceclaims,resourceclaimtemplates", "--namespace="+c.space, "-o", "name")
		if left == "" {
			break
		}
		if time.Now().After(end) {
			c.t.Fatalf("left behind: %s", left)
		}
	}
}

// playedDriver is what a driver of a node with one GPU of 80 GiB publishes, and its class.
func playedDriver(node string) string {
	return fmt.Sprintf(`
apiVersion: resource.k8s.io/v1
kind: DeviceClass
metadata: {name: gpu.nvidia.com}
spec: {selectors: [{cel: {expression: 'device.driver == "gpu.nvidia.com"'}}]}
---
apiVersion: resource.k8s.io/v1
kind: ResourceSlice
metadata: {name: %[1]s}
spec:
  driver: gpu.nvidia.com
  nodeName: %[1]s
  pool: {name: %[1]s, generation: 1, resourceSliceCount: 1}
  devices:
  - name: gpu-0
    allowMultipleAllocations: true
    attributes: {uuid: {string: GPU-0a}, productName: {string: NVIDIA H100 80GB HBM3}}
    capacity: {memory: {value: 80Gi, requestPolicy: {default: 80Gi, validRange: {min: 1Gi, step: 1Gi, max: 80Gi}}}}
`, node)
}

// allocations are what the kube-scheduler gave to pods of jobs, by attempt.
func (c cluster) allocations() string {
	c.t.Helper()
	var list []string
	for line := range strings.Lines(c.plane.Kubectl("get", "resourceclaims", "--namespace="+c.space, "--sort-by={.metadata.labels.ainexus\\.io/job}", "-o",
		`jsonpath={range .items[*]}{.metadata.labels.ainexus\.io/job}-{.metadata.labels.ainexus\.io/attempt}={.status.allocation.devices.results[0].device}:{.status.allocation.devices.results[0].consumedCapacity.memory}{"\n"}{end}`)) {
		if !strings.Contains(line, "=:") {
			list = append(list, strings.TrimSpace(line))
		}
	}
	return strings.Join(list, " ")
}

// Where HAMi counts the memory of cards, shares are had of that: the test plays HAMi's part of the node's status, and a real
// kube-scheduler counts. Which card a task gets, and whether it keeps to its part, only HAMi would decide.
func sharesOfCards(c cluster) {
	node := c.space + "-hami"
	c.plane.AddNode(c.t, kubetest.Node{Name: node, CPUs: 64, Memory: 256, GPUs: 10, Cards: 1, Model: "NVIDIA-A100-SXM4-80GB", GPUMiB: 81920, Labels: map[string]string{"pool": c.space}})
	c.document(fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: notebook}
spec:
  nodeSelector: {kubernetes.io/hostname: %s}
  containers: [{name: c, image: none, resources: {limits: {nvidia.com/gpu: 1, nvidia.com/gpumem: 15000}}}]
`, node))
	c.plane.Kubectl("wait", "--namespace="+c.space, "--for=condition=Ready", "--timeout=180s", "pod/notebook")
	for _, name := range []string{"one", "two", "third"} {
		c.agents.Play(name, kubetest.Script{Until: name})
		c.document(fmt.Sprintf("apiVersion: ainexus.io/v1alpha1\nkind: NexusJob\nmetadata: {name: %s}\nspec: {run: x, resources: {gpu_memory: 30GiB}}\n", name))
		if name != "third" {
			c.phase(name, nexus.Running)
		}
	}
	if o := c.reason("third", "Capacity"); o.Status.Attempt != 0 {
		c.t.Errorf("it was tried: %+v", o.Status)
	}
	if limits := c.plane.Kubectl("get", "pods", "--namespace="+c.space, "-l", "ainexus.io/job=one", "-o", "jsonpath={.items[0].spec.containers[0].resources.limits}"); limits != `{"nvidia.com/gpu":"1","nvidia.com/gpumem":"30720"}` {
		c.t.Errorf("its pod takes %s", limits)
	}
	// A whole GPU is none of these: of the ten tasks none is a card.
	c.job("whole", 1, 8)
	if o := c.phase("whole", nexus.Running); o.Status.Seats[0].Node == node {
		c.t.Errorf("a whole GPU was taken of %s", node)
	}
	c.agents.Open("one")
	c.phase("third", nexus.Running)
	for _, name := range []string{"two", "third", "whole"} {
		c.agents.Open(name)
		c.phase(name, nexus.Succeeded)
	}
}
