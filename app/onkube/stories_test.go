package onkube

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"ainexus.io/app"
	"ainexus.io/cluster/kube/kubetest"
	"ainexus.io/nexus"
)

// TestKubeStories tells what happens to jobs on a real control plane, one story after the other, each in a namespace
// and on nodes of its own. Agents are played by kubetest; nodes by kwok.
func TestKubeStories(t *testing.T) {
	plane := kubetest.Start(t)
	for _, story := range []struct {
		name string
		tell func(cluster)
		pods int // that a node takes
	}{
		{"gang", gangWaitsForStrangers, 0},
		{"no-room", kubeSchedulerHasTheLastWord, 1},
		{"budget", budgetOutlivesItsChildren, 0},
		{"successor", successorGoesOn, 0},
		{"quota", quotaHolds, 0},
		{"refused", whatCannotBeIsRefused, 0},
		{"bad-input", badInput, 0},
		{"preempt", preemptionGoesStepByStep, 0},
		{"given-up", preemptorThatGivesUp, 0},
		{"drained", drainedGangGoesElsewhere, 0},
		{"lost", lostNodeBlocksNobody, 0},
		{"no-image", whatCannotStartIsGivenUp, 0},
		{"user", imagesOfRoot, 0},
		{"foreign", foreignJobsWaitInLine, 0},
		{"scale-up", autoscalerSeesAGang, 0},
		{"slices", slicesAreCountedByProfile, 0},
		{"after", jobsWaitForOthers, 0},
		{"array", arraysRunTheirMembers, 0},
		{"line", whoWaitsIsToldUntilWhen, 0},
		{"cards", sharesOfCards, 0},
		{"shares", sharesOfAGPU, 0}, // the last: its driver serves the whole cluster
	} {
		t.Run(story.name, func(t *testing.T) {
			space := "story-" + story.name
			plane.Namespace(t, space)
			for _, n := range []string{"a", "b"} {
				plane.AddNode(t, kubetest.Node{Name: space + "-" + n, CPUs: 64, Memory: 512, GPUs: 8, Model: "NVIDIA-H100-80GB-HBM3",
					GPUMiB: 81559, Labels: map[string]string{"pool": space}, Pods: story.pods})
			}
			c := cluster{t: t, plane: plane, space: space, agents: plane.Agents(t, space), watched: &watched{reasons: map[string]nexus.Reason{}}}
			c.controller = startController(t, plane, storyOptions(space), c.watched)
			t.Cleanup(func() { plane.Kubectl("delete", "nexusjobs", "--all", "--namespace="+space) })
			story.tell(c)
		})
	}
}

// job applies a job of so many nodes and GPUs that runs until its gate, which is called as it is, opens.
func (c cluster) job(name string, nodes, gpus int, more ...string) {
	c.t.Helper()
	c.agents.Play(name, kubetest.Script{Until: name})
	c.document(fmt.Sprintf("apiVersion: ainexus.io/v1alpha1\nkind: NexusJob\nmetadata: {name: %s}\nspec:\n  nodes: %d\n  workers: 1\n  resources: {gpus: %d}\n  run: train\n%s",
		name, nodes, gpus, strings.Join(more, "\n")))
}

// stranger makes a pod of somebody else's that takes GPUs of a node, and waits until it is there.
func (c cluster) stranger(name, node string, gpus int) {
	c.t.Helper()
	c.document(fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: %s}
spec:
  nodeSelector: {kubernetes.io/hostname: %s}
  containers: [{name: c, image: none, resources: {limits: {nvidia.com/gpu: %d}}}]
`, name, node, gpus))
	c.plane.Kubectl("wait", "--namespace="+c.space, "--for=condition=Ready", "--timeout=180s", "pod/"+name)
}

// reason waits until a waiting job is told so.
func (c cluster) reason(name, want string) object {
	c.t.Helper()
	return c.until(name, "told "+want, func(o object) bool { return o.Status.Phase == nexus.Pending && o.Status.Reason == want })
}

// attempts lists the Jobs of a NexusJob.
func (c cluster) attempts(name string) []string {
	c.t.Helper()
	return strings.Fields(c.plane.Kubectl("get", "jobs", "--namespace="+c.space, "-l", "ainexus.io/job="+name, "-o", "jsonpath={.items[*].metadata.name}"))
}

// A gang that would fit by the number of GPUs, but not on its nodes, is not begun: nothing of it holds anything, and who
// is smaller passes. When the strangers are gone all of it starts at once.
func gangWaitsForStrangers(c cluster) {
	c.stranger("notebook", c.space+"-a", 3)
	c.job("gang", 2, 8)
	o := c.reason("gang", "Capacity")
	if !strings.Contains(o.Status.Message, "others hold what it needs") {
		c.t.Errorf("it is told %q", o.Status.Message)
	}
	c.job("small", 1, 5)
	c.phase("small", nexus.Running)
	if list := c.attempts("gang"); len(list) > 0 {
		c.t.Errorf("the gang waits and has %v", list)
	}
	c.plane.Kubectl("delete", "pod", "notebook", "--namespace="+c.space)
	c.agents.Open("small")
	c.phase("small", nexus.Succeeded)
	if o = c.phase("gang", nexus.Running); len(o.Status.Seats) != 2 || o.Status.Attempt != 1 {
		c.t.Errorf("it runs as %+v", o.Status)
	}
	// The server drops the field without the gate, and has no groups.
	if group := c.plane.Kubectl("get", "pods", "--namespace="+c.space, "-l", "ainexus.io/job=gang", "-o", "jsonpath={.items[*].spec.schedulingGroup}"); group != "" {
		c.t.Errorf("its pods are in the group %s", group)
	}
	c.agents.Open("gang")
	c.phase("gang", nexus.Succeeded)
}

// Where the kube-scheduler finds no node for a pod, because of something that no picture of ours has (here: how many
// pods a node takes), the whole attempt goes back in line, uncharged, and begins again when there is room.
func kubeSchedulerHasTheLastWord(c cluster) {
	c.stranger("full", c.space+"-a", 1)
	c.job("gang", 2, 4, "  restart: {\"on\": [exit]}")
	o := c.until("gang", "back in line", func(o object) bool {
		return o.Status.Attempt >= 1 && o.Status.Phase == nexus.Pending && o.Status.Result != nil
	})
	if o.Status.RestartsUsed != 0 || !strings.Contains(o.Status.Result.Message, "no room was found") {
		c.t.Errorf("it is %+v", o.Status)
	}
	c.plane.Kubectl("delete", "pod", "full", "--namespace="+c.space)
	c.phase("gang", nexus.Running)
	c.agents.Open("gang")
	c.phase("gang", nexus.Succeeded)
}

// The budget is the NexusJob's: deleting what is below it neither costs a restart nor gives one back.
func budgetOutlivesItsChildren(c cluster) {
	c.job("stubborn", 2, 1, "  restart: {max: 2}")
	c.phase("stubborn", nexus.Running)
	c.plane.Kubectl("delete", "job", "stubborn-1", "--namespace="+c.space)
	o := c.until("stubborn", "in its second attempt", func(o object) bool { return o.Status.Attempt == 2 && o.Status.Phase == nexus.Running })
	if o.Status.RestartsUsed != 0 || o.Status.Result == nil || o.Status.Result.Cause != nexus.CauseNode {
		c.t.Errorf("after its Job was deleted: %+v", o.Status)
	}
	c.plane.Kubectl("delete", "pod", "--namespace="+c.space, "--wait=false", "-l", "ainexus.io/job=stubborn,batch.kubernetes.io/job-completion-index=1")
	c.until("stubborn", "in its third attempt", func(o object) bool { return o.Status.Attempt == 3 && o.Status.Phase == nexus.Running })
	c.agents.Play("stubborn", kubetest.Script{Exit: 9})
	o = c.phase("stubborn", nexus.Failed)
	if o.Status.RestartsUsed != 2 || o.Status.Result.Exit != 9 || o.Status.Result.Cause != nexus.CauseExit {
		c.t.Errorf("it ended with %+v", o.Status)
	}
}

// A controller that comes after another goes on where that one was: what runs, runs, and what waits, waits.
func successorGoesOn(c cluster) {
	c.job("runs", 2, 5)
	c.phase("runs", nexus.Running)
	c.job("waits", 1, 8)
	c.reason("waits", "Capacity")
	if err := c.controller.Stop(); err != nil {
		c.t.Fatal(err)
	}
	c.agents.Open("runs")
	c.plane.Kubectl("wait", "--namespace="+c.space, "--for=condition=Complete", "--timeout=180s", "job/runs-1")
	if o, err := c.get("runs"); err != nil || o.Status.Phase != nexus.Running {
		c.t.Fatalf("nobody controls it, and it is %+v, %v", o.Status, err)
	}
	startController(c.t, c.plane, app.ControllerOptions{Namespace: c.space, Nodes: "pool=" + c.space}, nil)
	if o := c.phase("runs", nexus.Succeeded); o.Status.Attempt != 1 {
		c.t.Errorf("it ended as %+v", o.Status)
	}
	c.phase("waits", nexus.Running)
	c.agents.Open("waits")
	c.phase("waits", nexus.Succeeded)
}

// A queue's quota holds though there is room, and the job goes when the quota is raised.
func quotaHolds(c cluster) {
	queue := func(gpus int) {
		c.document(fmt.Sprintf("apiVersion: ainexus.io/v1alpha1\nkind: NexusQueue\nmetadata: {name: research}\nspec: {quota: [{gpus: %d}]}\n", gpus))
	}
	queue(8)
	c.job("first", 1, 8, "  queue: research")
	c.phase("first", nexus.Running)
	c.job("second", 1, 4, "  queue: research")
	c.reason("second", "Quota")
	queue(12)
	c.phase("second", nexus.Running)
	c.job("lost", 1, 1, "  queue: nowhere")
	c.reason("lost", "Queue")
}

// What can never be is refused by the API server with the field's path, or held with a reason that names the limit.
func whatCannotBeIsRefused(c cluster) {
	for spec, want := range map[string]string{
		"run: x, nodes: 0":                            "spec.nodes",
		"run: x, nodes: many":                         "spec.nodes",
		"run: x, priority: urgent":                    "spec.priority",
		"run: x, resources: {gpus: -1}":               "spec.resources.gpus",
		"run: x, resources: {memory: lots}":           "spec.resources.memory",
		"run: x, resources: {memory: -5}":             "spec.resources.memory",
		"run: x, resources: {gpus: 8}, workers: 3":    "spec.workers",
		"run: x, nodes: 2, topology: {require: node}": "spec.topology",
		"run: x, volumes: [{path: /data}]":            "spec.volumes[0]",
		"run: x, restart: {max: -1}":                  "spec.restart.max",
		"nodes: 1":                                    "spec.run",
		"run: x, resource: {gpus: 1}":                 `unknown field "spec.resource"`,
		"run: x, queue: Research":                     "spec.queue",
	} {
		c.refused(spec, want)
	}
	for spec, want := range map[string]string{
		"run: ''":                            "spec.run",
		"run: 5":                             "spec.run",
		"run: []":                            "spec.run",
		"run: [a, 1]":                        "spec.run",
		"run: x, setup: {a: b}":              "spec.setup",
		"run: x, env: {RANK: '0'}":           "spec.env",
		"run: x, env: {T: {from: env:HOME}}": "spec.env",
		"run: x, env: {T: {value: 5}}":       "spec.env",
	} {
		c.refused(spec, want)
	}
	c.job("huge", 1, 16)
	if o := c.reason("huge", "Unfit"); !strings.Contains(o.Status.Message, "8") {
		c.t.Errorf("it is told %q", o.Status.Message)
	}
	c.document("apiVersion: ainexus.io/v1alpha1\nkind: NexusJob\nmetadata: {name: part}\nspec: {run: x, resources: {gpu_memory: 10GiB}}\n")
	if o := c.reason("part", "Invalid"); !strings.Contains(o.Status.Message, "this cluster cannot share GPUs") {
		c.t.Errorf("it is told %q", o.Status.Message)
	}
}

// refused wants the API server to refuse a spec, in these words. It learns of a policy a little after that was applied.
func (c cluster) refused(spec, want string) {
	c.t.Helper()
	text := "apiVersion: ainexus.io/v1alpha1\nkind: NexusJob\nmetadata: {name: bad}\nspec: {" + spec + "}\n"
	for end := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		out, err := c.plane.TryKubectl(text, "create", "--dry-run=server", "--namespace="+c.space, "-f", "-")
		if err != nil && strings.Contains(out, want) {
			return
		}
		if err != nil || time.Now().After(end) {
			c.t.Errorf("%s: not refused for %s: %v, %s", spec, want, err, out)
			return
		}
	}
}
