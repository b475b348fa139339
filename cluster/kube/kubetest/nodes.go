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
	Model  string            // as GPU feature discovery writes it: NVIDIA-H100-80GB-HBM3
	GPUMiB int               // memory of a GPU
	Labels map[string]string // further ones
	Pods   int               // how many it takes; default 110
}

// AddNode adds a node, waits until it is Ready, and takes it away when t ends.
func (p *Plane) AddNode(t testing.TB, n Node) {
	t.Helper()
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
	if n.GPUs > 0 {
		have["nvidia.com/gpu"] = *resource.NewQuantity(int64(n.GPUs), resource.DecimalSI)
		labels["nvidia.com/gpu.product"], labels["nvidia.com/gpu.memory"] = n.Model, strconv.Itoa(n.GPUMiB)
	}
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: n.Name, Labels: labels, Annotations: map[string]string{kwokAnnotation: "fake"}},
		Status:     corev1.NodeStatus{Capacity: have, Allocatable: have},
	}
	p.kubelet.endpoint(&node.Status)
	ctx := context.Background()
	if err := p.core.Post().Resource("nodes").Body(node).Do(ctx).Error(); err != nil {
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
		if len(got.Spec.Taints) > 0 { // the controller manager has not heard yet that it is Ready
			return fmt.Errorf("it is tainted: %v", got.Spec.Taints)
		}
		for _, c := range got.Status.Conditions {
			if c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue {
				return nil
			}
		}
		return fmt.Errorf("it is not Ready")
	})
}

// Cordon keeps new pods from a node, or lets them come again.
func (p *Plane) Cordon(t testing.TB, name string, is bool) {
	t.Helper()
	patch := fmt.Appendf(nil, `{"spec":{"unschedulable":%t}}`, is)
	if err := p.core.Patch(types.MergePatchType).Resource("nodes").Name(name).Body(patch).Do(t.Context()).Error(); err != nil {
		t.Fatal(err)
	}
}

// kwokStages have nodes become Ready and stay so, and pods run once they are bound. What becomes of pods of ours is
// left to [Agents]; other pods run until they are deleted.
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
`
