package onkube

import (
	"fmt"
	"strings"
	"testing"

	"ainexus.io/app"
	"ainexus.io/cluster/kube/kubetest"
	"ainexus.io/nexus"
)

// The first job of docs and issue: two nodes of eight GPUs, from kubectl apply to Succeeded, in the words that kubectl
// prints. The agents are played; all the rest is real.
func TestKubeRunsAJobOfTwoNodes(t *testing.T) {
	plane := kubetest.Start(t)
	plane.Namespace(t, "team")
	for _, name := range []string{"n1", "n2", "n3"} {
		plane.AddNode(t, kubetest.Node{Name: name, CPUs: 64, Memory: 512, GPUs: 8, Model: "NVIDIA-H100-80GB-HBM3", GPUMiB: 81559})
	}
	c := cluster{t: t, plane: plane, space: "team", agents: plane.Agents(t, "team"), watched: &watched{reasons: map[string]nexus.Reason{}}}
	c.agents.Play("gpt2", kubetest.Script{Until: "trained"})
	c.controller = startController(t, plane, app.ControllerOptions{}, c.watched)
	c.document(`
apiVersion: ainexus.io/v1alpha1
kind: NexusJob
metadata: {name: gpt2}
spec:
  nodes: 2
  workers: 8
  resources: {gpus: 8, gpu_memory: 40GiB, gpu_model: [H100], cpu: 16, memory: 64GiB}
  env: {NCCL_DEBUG: WARN, HF_TOKEN: {from: secret:hf/token}, COST: "$(NOT_EXPANDED)"}
  checkpoint: {path: ckpt, grace: 120s}
  run: python train.py
`)
	o := c.phase("gpt2", nexus.Running)
	if o.Status.GPUs != 16 || len(o.Status.Seats) != 2 || o.Status.Attempt != 1 {
		t.Errorf("it runs as %+v", o.Status)
	}
	on := map[string]bool{}
	for line := range strings.Lines(plane.Kubectl("get", "pods", "--namespace=team", "-o", `jsonpath={range .items[*]}{.spec.nodeName} {.status.phase} {.spec.terminationGracePeriodSeconds}{"\n"}{end}`)) {
		var node, phase, grace string
		fmt.Sscan(line, &node, &phase, &grace)
		if on[node] || phase != "Running" || grace != "130" {
			t.Errorf("a pod: %s", line)
		}
		on[node] = true
	}
	for _, s := range o.Status.Seats {
		if !on[s.Node] {
			t.Errorf("it was planned on %+v and is on %v", o.Status.Seats, on)
		}
	}
	table := plane.Kubectl("get", "nexusjobs", "--namespace=team")
	if want := []string{"NAME", "TYPE", "PRIORITY", "QUEUE", "GPUS", "PHASE", "REASON", "AGE"}; !strings.HasPrefix(strings.Join(strings.Fields(table), " "), strings.Join(want, " ")) {
		t.Errorf("kubectl prints\n%s", table)
	}
	t.Log("\n" + table)
	if service := plane.Kubectl("get", "service", "gpt2-workers", "--namespace=team", "-o", "jsonpath={.spec.clusterIP} {.spec.publishNotReadyAddresses}"); service != "None true" {
		t.Errorf("its Service: %s", service)
	}
	c.agents.Open("trained")
	o = c.phase("gpt2", nexus.Succeeded)
	conditions := map[string]string{}
	for _, k := range o.Status.Conditions {
		conditions[k.Type] = k.Status
	}
	if conditions["Succeeded"] != "True" || conditions["Running"] != "False" || conditions["Admitted"] != "False" || o.Status.RestartsUsed != 0 {
		t.Errorf("it ended with %+v", o.Status)
	}
	story := ""
	for _, what := range []string{"Admitted", "Running", "Succeeded"} {
		story = plane.Kubectl("get", "events", "--namespace=team", "--field-selector=involvedObject.kind=NexusJob")
		if !strings.Contains(story, what) {
			t.Errorf("no Event tells of %s:\n%s", what, story)
		}
	}
	t.Log("\n" + story)
}
