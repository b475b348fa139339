package onkube

import (
	"fmt"
	"strings"

	"ainexus.io/cluster/kube/kubetest"
	"ainexus.io/nexus"
)

// Pods of jobs run as their image's own user. Where a kubelet says that this is root, the attempt costs nothing, the next one
// runs as user 1000, and so do those of other jobs with that image from then on, also by the next controller. The test
// plays the kubelet, in its words; the API server judges the pods by the restricted standard.
func imagesOfRoot(c cluster) {
	c.plane.Kubectl("label", "namespace", c.space, "pod-security.kubernetes.io/enforce=restricted")
	job := func(name, image string, nodes int) { // kwok leaves alone what is labelled
		c.agents.Play(name, kubetest.Script{Until: name, Root: image == "rooted"})
		c.document(fmt.Sprintf("apiVersion: ainexus.io/v1alpha1\nkind: NexusJob\nmetadata: {name: %s}\nspec: {run: x, image: %s, nodes: %d, resources: {gpus: 8}, labels: {%s: played}}\n",
			name, image, nodes, map[bool]string{true: "kubetest", false: "kwok"}[image == "rooted"]))
	}
	users := func(name string) string {
		return strings.TrimSpace(c.plane.Kubectl("get", "pods", "--namespace="+c.space, "-l", "ainexus.io/job="+name, "--sort-by=.metadata.name",
			"-o", `jsonpath={range .items[*]}{.metadata.labels.ainexus\.io/attempt}:{.spec.securityContext.runAsUser}:{.spec.initContainers[0].securityContext.runAsUser}:{.spec.securityContext.runAsNonRoot} {end}`))
	}
	ends := func(name string, attempt int, pods string) {
		c.t.Helper()
		c.until(name, "running", func(o object) bool { return o.Status.Phase == nexus.Running && o.Status.Attempt == attempt })
		if got := users(name); got != pods {
			c.t.Errorf("the pods of %s run as %q and not %q", name, got, pods)
		}
		c.agents.Open(name)
		if o := c.phase(name, nexus.Succeeded); o.Status.Attempt != attempt || o.Status.RestartsUsed != 0 {
			c.t.Errorf("%s ended as %+v", name, o.Status)
		}
	}
	job("own", "good", 1)
	ends("own", 1, "1::1000:true")
	job("first", "rooted", 2)
	ends("first", 2, "2:1000:1000:true 2:1000:1000:true")
	c.story("first", "Admitted", "OtherUser", "Succeeded")
	job("second", "rooted", 1)
	ends("second", 1, "1:1000:1000:true")
	if err := c.controller.Stop(); err != nil {
		c.t.Fatal(err)
	}
	startController(c.t, c.plane, storyOptions(c.space), nil)
	job("third", "rooted", 1)
	ends("third", 1, "1:1000:1000:true")
	told := strings.Fields(c.plane.Kubectl("get", "events", "--namespace="+c.space, "--field-selector=reason=OtherUser", "-o", "jsonpath={.items[*].involvedObject.name}"))
	if len(told) != 1 || told[0] != "first" {
		c.t.Errorf("it is told of %v", told)
	}
}
