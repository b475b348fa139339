package kube

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"ainexus.io/nexus"
)

// Labels by which nodes tell of their GPUs (NVIDIA's GPU feature discovery) and of where they stand.
const (
	labelGPUProduct = "nvidia.com/gpu.product"
	labelGPUMemory  = "nvidia.com/gpu.memory" // MiB
	labelRack       = "topology.kubernetes.io/rack"
	labelBlock      = "topology.kubernetes.io/block"
)

// nodeOf reads a node, as if nobody were on it. Places for GPUs are numbered; which device a pod gets is the device
// plugin's business.
func nodeOf(o *corev1.Node) nexus.Node {
	n := nexus.Node{
		Name: o.Name, State: stateOf(o), CPU: nexus.CPU(o.Status.Allocatable.Cpu().MilliValue()),
		Memory: nexus.MiB(o.Status.Allocatable.Memory().Value() >> 20), Labels: o.Labels,
		Rack: o.Labels[labelRack], Block: o.Labels[labelBlock],
	}
	count := o.Status.Allocatable[ResourceGPU]
	memory, _ := strconv.ParseInt(o.Labels[labelGPUMemory], 10, 64)
	model := strings.ReplaceAll(o.Labels[labelGPUProduct], "-", " ")
	size := nexus.MiB(memory)
	if !labelled(o) {
		toldModel, toldMemory := announced(o)
		model, size = cmp.Or(model, toldModel), cmp.Or(size, toldMemory)
	}
	if cards := cardsOf(o, model, size); cards != nil {
		n.GPUs = cards
		return n
	}
	for i := range min(int(count.Value()), maxGPUs) {
		n.GPUs = append(n.GPUs, nexus.GPU{Index: i, Model: model, Memory: size, Free: -1})
	}
	n.GPUs = append(n.GPUs, slicesOf(o, model, len(n.GPUs))...)
	return n
}

// maxGPUs is the most GPUs that a node is believed to have.
const maxGPUs = 4096

// stateOf says whether a node takes jobs. A taint that our pods do not tolerate is as good as a cordon.
func stateOf(o *corev1.Node) nexus.NodeState {
	ready := slices.ContainsFunc(o.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	})
	repels := slices.ContainsFunc(o.Spec.Taints, func(t corev1.Taint) bool {
		return (t.Effect == corev1.TaintEffectNoSchedule || t.Effect == corev1.TaintEffectNoExecute) && t.Key != string(ResourceGPU)
	})
	switch {
	case !ready:
		return nexus.Lost
	case o.Spec.Unschedulable || repels:
		return nexus.Cordoned
	}
	return nexus.Ready
}

// occupied marks what of a node is taken by these pods, none of which the planner placed there. Of the GPUs, places
// that no job of ours has are marked, from the last one down.
func occupied(n nexus.Node, strangers []*pod, ours map[int]bool) nexus.Node {
	taken := map[string]int{} // by MIG profile; whole ones have none
	for _, p := range strangers {
		n.Taken.CPU += p.cpu
		n.Taken.Memory += p.memory
		taken[""] += p.gpus
		for profile, count := range p.slices {
			taken[profile] += count
		}
	}
	n.GPUs = slices.Clone(n.GPUs)
	for _, i := range slices.Backward(n.GPUs) {
		if taken[i.MIG] > 0 && !ours[i.Index] {
			n.GPUs[i.Index].Taken = true
			taken[i.MIG]--
		}
	}
	return n
}

// sameNode reports whether the planner would see no difference.
func sameNode(a, b *nexus.Node) bool {
	return a.State == b.State && a.CPU == b.CPU && a.Memory == b.Memory && a.Rack == b.Rack && a.Block == b.Block &&
		a.Taken == b.Taken && slices.Equal(a.GPUs, b.GPUs) && maps.Equal(a.Labels, b.Labels)
}

// byName orders nodes, so that a delta does not depend on a map.
func byName(a, b nexus.Node) int { return cmp.Compare(a.Name, b.Name) }
