package kubetest

import (
	"context"
	"fmt"
	"strconv"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// kwokAnnotation marks the nodes that kwok plays.
const kwokAnnotation = "kwok.x-k8s.io/node"

// Node is a node that kwok plays.
type Node struct {
	Name   string
	CPUs   int
	Memory int // GiB; default 64
	GPUs   int
	MIG    map[string]int    // slices by profile
	Model  string            // as GPU feature discovery writes it: NVIDIA-H100-80GB-HBM3
	GPUMiB int               // memory of a GPU
	Cards  int               // of GPUMiB each, whose memory HAMi counts; GPUs are how many tasks they take
	Labels map[string]string // further ones
	Pods   int               // how many it takes; default 110
}

// AddNode adds a node, waits until it is Ready, and takes it away when t ends.
func (p *Plane) AddNode(t testing.TB, n Node) {
	t.Helper()
	ctx := context.Background()
	if err := p.postNode(n); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.core.Delete().Resource("nodes").Name(n.Name).Do(ctx).Error(); err != nil {
			t.Logf("deleting node %s: %v", n.Name, err)
		}
	})
	p.UntilReady(n.Name)
}

// UntilReady waits until pods can go to a node.
func (p *Plane) UntilReady(node string) {
	p.t.Helper()
	p.starter.until("node "+node, func() error {
		var got corev1.Node
		if err := p.core.Get().Resource("nodes").Name(node).Do(context.Background()).Into(&got); err != nil {
			return err
		}
		return usable(&got)
	})
}

// usable says why a node takes no pods yet.
func usable(n *corev1.Node) error {
	if len(n.Spec.Taints) > 0 { // the controller manager has not heard yet that it is Ready
		return fmt.Errorf("%s is tainted: %v", n.Name, n.Spec.Taints)
	}
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue {
			return nil
		}
	}
	return fmt.Errorf("%s is not Ready", n.Name)
}

// postNode has the API server know a node.
func (p *Plane) postNode(n Node) error {
	if n.Memory == 0 {
		n.Memory = 64
	}
	if n.Pods == 0 {
		n.Pods = 110
	}
	have := corev1.ResourceList{
		corev1.ResourceCPU: *resource.NewQuantity(int64(n.CPUs), resource.DecimalSI), corev1.ResourcePods: *resource.NewQuantity(int64(n.Pods), resource.DecimalSI),
		corev1.ResourceMemory: resource.MustParse(fmt.Sprintf("%dGi", n.Memory)),
	}
	labels := map[string]string{corev1.LabelHostname: n.Name}
	for k, v := range n.Labels {
		labels[k] = v
	}
	for profile, count := range n.MIG {
		have[corev1.ResourceName("nvidia.com/mig-"+profile)] = *resource.NewQuantity(int64(count), resource.DecimalSI)
	}
	if n.GPUs > 0 {
		have["nvidia.com/gpu"] = *resource.NewQuantity(int64(n.GPUs), resource.DecimalSI)
		labels["nvidia.com/gpu.product"], labels["nvidia.com/gpu.memory"] = n.Model, strconv.Itoa(n.GPUMiB)
	}
	if n.Cards > 0 {
		have["nvidia.com/gpumem"] = *resource.NewQuantity(int64(n.Cards*n.GPUMiB), resource.DecimalSI)
	}
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: n.Name, Labels: labels, Annotations: map[string]string{kwokAnnotation: "fake"}},
		Status:     corev1.NodeStatus{Capacity: have, Allocatable: have},
	}
	p.kubelet.endpoint(&node.Status)
	return p.core.Post().Resource("nodes").Body(node).Do(context.Background()).Error()
}

// Cordon keeps new pods from a node, or lets them come again.
func (p *Plane) Cordon(t testing.TB, name string, is bool) {
	t.Helper()
	patch := fmt.Appendf(nil, `{"spec":{"unschedulable":%t}}`, is)
	if err := p.core.Patch(types.MergePatchType).Resource("nodes").Name(name).Body(patch).Do(t.Context()).Error(); err != nil {
		t.Fatal(err)
	}
}

// Lose cuts a node off, as a power cut does: kwok plays it no longer, [Agents] write no states of its pods, and it is
// written down as not Ready, as the controller manager would after a while.
func (p *Plane) Lose(t testing.TB, name string) {
	t.Helper()
	p.mu.Lock()
	p.lost[name] = true
	p.mu.Unlock()
	abandon := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:null}}}`, kwokAnnotation)
	if err := p.core.Patch(types.MergePatchType).Resource("nodes").Name(name).Body(abandon).Do(t.Context()).Error(); err != nil {
		t.Fatal(err)
	}
	dark := []byte(`{"status":{"conditions":[{"type":"Ready","status":"Unknown","reason":"NodeStatusUnknown","message":"the test cut it off"}]}}`)
	if err := p.core.Patch(types.StrategicMergePatchType).Resource("nodes").Name(name).SubResource("status").Body(dark).Do(t.Context()).Error(); err != nil {
		t.Fatal(err)
	}
}

func (p *Plane) isLost(node string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lost[node]
}

// kwokStages have nodes become Ready and stay so, and pods run once they are bound. What becomes of pods of ours is
// left to [Agents]; other pods run until they are deleted. Those with the label "unattended" go at once when they are deleted,
// whosever they are, and end well as soon as they run where it says "ends".
const kwokStages = `apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: {name: node-initialize}
spec:
  resourceRef: {apiGroup: v1, kind: Node}
  selector:
    matchExpressions:
    - {key: '.status.conditions.[] | select( .type == "Ready" ) | .status', operator: NotIn, values: ["True"]}
  next:
    statusTemplate: |
      {{ $now := Now }}
      conditions:
      {{ range NodeConditions }}
      - lastHeartbeatTime: {{ $now | Quote }}
        lastTransitionTime: {{ $now | Quote }}
        message: {{ .message | Quote }}
        reason: {{ .reason | Quote }}
        status: {{ .status | Quote }}
        type: {{ .type | Quote }}
      {{ end }}
      phase: Running
---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: {name: pod-ready}
spec:
  resourceRef: {apiGroup: v1, kind: Pod}
  selector:
    matchExpressions:
    - {key: '.metadata.deletionTimestamp', operator: DoesNotExist}
    - {key: '.metadata.labels["kubetest"]', operator: DoesNotExist}
    - {key: '.status.phase', operator: In, values: [Pending]}
    - {key: '.status.conditions.[] | select( .type == "Ready" ) | .status', operator: NotIn, values: ["True"]}
  next:
    statusTemplate: |
      {{ $now := Now }}
      conditions:
      - {lastTransitionTime: {{ $now | Quote }}, status: "True", type: Initialized}
      - {lastTransitionTime: {{ $now | Quote }}, status: "True", type: Ready}
      - {lastTransitionTime: {{ $now | Quote }}, status: "True", type: ContainersReady}
      containerStatuses:
      {{ range .spec.containers }}
      - image: {{ .image | Quote }}
        name: {{ .name | Quote }}
        ready: true
        restartCount: 0
        state: {running: {startedAt: {{ $now | Quote }}}}
      {{ end }}
      initContainerStatuses:
      {{ range .spec.initContainers }}
      - image: {{ .image | Quote }}
        name: {{ .name | Quote }}
        ready: true
        restartCount: 0
        state: {terminated: {exitCode: 0, finishedAt: {{ $now | Quote }}, reason: Completed, startedAt: {{ $now | Quote }}}}
      {{ end }}
      phase: Running
      startTime: {{ $now | Quote }}
---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: {name: pod-delete}
spec:
  resourceRef: {apiGroup: v1, kind: Pod}
  selector:
    matchExpressions:
    - {key: '.metadata.deletionTimestamp', operator: Exists}
    - {key: '.metadata.labels["ainexus.io/job-uid"]', operator: DoesNotExist}
  next: {delete: true}
---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: {name: pod-delete-unattended}
spec:
  resourceRef: {apiGroup: v1, kind: Pod}
  selector:
    matchExpressions:
    - {key: '.metadata.deletionTimestamp', operator: Exists}
    - {key: '.metadata.labels["unattended"]', operator: Exists}
  next: {delete: true}
---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: {name: pod-end-unattended}
spec:
  resourceRef: {apiGroup: v1, kind: Pod}
  selector:
    matchExpressions:
    - {key: '.metadata.deletionTimestamp', operator: DoesNotExist}
    - {key: '.metadata.labels["unattended"]', operator: In, values: [ends]}
    - {key: '.status.phase', operator: In, values: [Running]}
  next:
    statusTemplate: |
      {{ $now := Now }}
      containerStatuses:
      {{ range .spec.containers }}
      - image: {{ .image | Quote }}
        name: {{ .name | Quote }}
        ready: false
        restartCount: 0
        state: {terminated: {exitCode: 0, finishedAt: {{ $now | Quote }}, reason: Completed, startedAt: {{ $now | Quote }}}}
      {{ end }}
      phase: Succeeded
`
