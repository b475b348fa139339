package onkube

import (
	"fmt"
	"strings"
	"time"

	"ainexus.io/app"
	"ainexus.io/cluster/kube/kubetest"
	"ainexus.io/nexus"
)

// storyOptions are those of the controller of a story, which is in more of a hurry than one that works.
func storyOptions(space string) app.ControllerOptions {
	return app.ControllerOptions{Namespace: space, Nodes: "pool=" + space, Lost: 2 * time.Second, Stuck: 2 * time.Second}
}

// more adds a third node to a story.
func (c cluster) more(name string) {
	c.t.Helper()
	c.plane.AddNode(c.t, kubetest.Node{Name: c.space + "-" + name, CPUs: 64, Memory: 512, GPUs: 8, Model: "NVIDIA-H100-80GB-HBM3",
		GPUMiB: 81559, Labels: map[string]string{"pool": c.space}})
}

// Who is cordoned keeps what runs on it. Who is drained has the whole gang stop together, each with the time to save, and it
// goes on elsewhere from what it saved; nothing is charged.
func drainedGangGoesElsewhere(c cluster) {
	c.job("gang", 2, 8, "  checkpoint: {path: /ckpt, grace: 30s}")
	c.agents.Play("gang", kubetest.Script{Until: "gang", Acks: true, Lingers: "saved"})
	c.phase("gang", nexus.Running)
	c.more("c")
	a := c.space + "-a"
	c.plane.Cordon(c.t, a, true)
	c.job("next", 1, 8)
	c.phase("next", nexus.Running)
	if o, err := c.get("gang"); err != nil || o.Status.Phase != nexus.Running || o.Status.Attempt != 1 {
		c.t.Fatalf("on a cordoned node it is %+v, %v", o.Status, err)
	}
	c.agents.Open("next")
	c.phase("next", nexus.Succeeded)
	drained := make(chan error, 1)
	go func() {
		out, err := c.plane.TryKubectl("", "drain", a, "--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=180s")
		if err != nil {
			err = fmt.Errorf("%w: %s", err, out)
		}
		drained <- err
	}()
	c.phase("gang", nexus.Stopping)
	c.agents.Open("saved")
	if err := <-drained; err != nil {
		c.t.Error(err)
	}
	o := c.until("gang", "in its second attempt", func(o object) bool { return o.Status.Attempt == 2 && o.Status.Phase == nexus.Running })
	for _, s := range o.Status.Seats {
		if s.Node == a {
			c.t.Errorf("it is on %+v", o.Status.Seats)
		}
	}
	if r, k := o.Status.Result, o.Status.Checkpoint; r == nil || r.Cause != nexus.CauseNode || !strings.Contains(r.Message, "viction") || k == nil || k.Attempt != 1 || o.Status.RestartsUsed != 0 {
		c.t.Errorf("it went on with %+v, result %+v, checkpoint %+v", o.Status, r, k)
	}
	c.story("gang", "Stopping", "Saved", "NodeLost")
}

// The pod on a node that lost its power stays Terminating. Its job goes on elsewhere all the same, when that node would have
// killed it; nothing is deleted by force, and when the node comes back nothing of the job is harmed.
func lostNodeBlocksNobody(c cluster) {
	c.job("gang", 2, 8, "  checkpoint: {path: /ckpt, grace: 1s}")
	c.phase("gang", nexus.Running)
	c.more("c")
	b := c.space + "-b"
	c.plane.Lose(c.t, b)
	o := c.until("gang", "in its second attempt", func(o object) bool { return o.Status.Attempt == 2 && o.Status.Phase == nexus.Running })
	if r := o.Status.Result; r == nil || r.Cause != nexus.CauseNode || o.Status.RestartsUsed != 0 {
		c.t.Errorf("it went on with %+v, %+v", o.Status, r)
	}
	left := c.plane.Kubectl("get", "pods", "--namespace="+c.space, "-l", "ainexus.io/attempt=1", "-o", "jsonpath={.items[*].spec.nodeName}")
	if left != b {
		c.t.Errorf("of the first attempt there are pods on %q", left)
	}
	c.agents.Open("gang")
	c.phase("gang", nexus.Succeeded)
}

// What cannot be started is told at once, and given up after a while. It is nobody's restart: the job says what is wrong.
func whatCannotStartIsGivenUp(c cluster) {
	c.agents.Play("typo", kubetest.Script{Stuck: "ErrImagePull"})
	c.document("apiVersion: ainexus.io/v1alpha1\nkind: NexusJob\nmetadata: {name: typo}\nspec: {run: x, image: pytroch, restart: {max: 3}, labels: {kubetest: played}, resources: {gpus: 8}}\n")
	o := c.phase("typo", nexus.Failed)
	if r := o.Status.Result; r == nil || r.Cause != nexus.CauseSetup || o.Status.RestartsUsed != 0 || o.Status.Attempt != 1 ||
		!strings.Contains(o.Status.Message, "ErrImagePull: the test says so") || !strings.Contains(o.Status.Message, "given up after 2s") {
		c.t.Errorf("it ended as %+v, %+v", o.Status, r)
	}
	c.story("typo", "Admitted", "ImagePull", "Stopping", "Failed")
}
