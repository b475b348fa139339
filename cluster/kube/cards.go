package kube

import (
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"ainexus.io/nexus"
)

// resourceGPUMemory is the name under which HAMi counts the memory of all cards of a node, in MiB. Where it does, a
// [ResourceGPU] is a task that may have a part of a card; which card it gets is HAMi's business, and one without this
// has a whole card.
const resourceGPUMemory corev1.ResourceName = "nvidia.com/gpumem"

// cardsOf are the cards of a node whose memory is counted, of this size each; nil where it is not, where nobody
// tells the size, and where a card takes one task only, so that nothing is shared.
func cardsOf(o *corev1.Node, model string, size nexus.MiB) []nexus.GPU {
	all, tasks := o.Status.Allocatable[resourceGPUMemory], o.Status.Allocatable[ResourceGPU]
	if size <= 0 || all.Value() <= 0 {
		return nil
	}
	count := min(max(1, (all.Value()+int64(size)/2)/int64(size)), maxGPUs)
	if tasks.Value() <= count {
		return nil
	}
	list := make([]nexus.GPU, count)
	for i := range list {
		list[i] = nexus.GPU{Index: i, Model: model, Memory: nexus.MiB(all.Value() / count), MIG: sharedKind, Free: -1}
	}
	return list
}

// cardMemory is what a pod takes of the memory of cards, and how many cards it takes whole.
func cardMemory(s *corev1.PodSpec) (memory nexus.MiB, whole int) {
	for _, c := range s.Containers {
		tasks, each := c.Resources.Limits[ResourceGPU], c.Resources.Limits[resourceGPUMemory]
		if each.IsZero() {
			whole += int(tasks.Value())
		}
		memory += nexus.MiB(each.Value() * max(1, tasks.Value()))
	}
	return memory, whole
}

// lent marks what strangers have of the cards of a node. Which cards is not told: the last ones, until there is as much.
func lent(n nexus.Node, strangers []*pod) nexus.Node {
	var rest nexus.MiB
	n.GPUs = slices.Clone(n.GPUs)
	for _, p := range strangers {
		rest += p.cards
		if len(n.GPUs) > 0 {
			rest += nexus.MiB(p.wholeCards) * n.GPUs[0].Memory
		}
	}
	for i := len(n.GPUs) - 1; i >= 0 && rest > 0; i-- {
		if n.GPUs[i].MIG == sharedKind {
			n.GPUs[i].Foreign = min(n.GPUs[i].Memory, rest)
			rest -= n.GPUs[i].Foreign
		}
	}
	return n
}

// setCards notes whether the memory of a node's cards is counted.
func (v *view) setCards(name string, n *nexus.Node) {
	if n != nil && slices.ContainsFunc(n.GPUs, func(g nexus.GPU) bool { return g.MIG == sharedKind }) {
		v.cards[name] = true
	} else {
		delete(v.cards, name)
	}
	v.judgeShares()
}

// onCards reports whether the first pod of an attempt gets its share by the memory of cards, not by a claim.
func (v *view) onCards(j *nexus.Job) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return j.Spec.Resources.Share() && len(j.Placement.Seats) > 0 && v.cards[j.Placement.Seats[0].Node]
}

// askForMemory has the pods of an attempt ask for their share as HAMi counts it.
func askForMemory(o *batchv1.Job, share nexus.MiB) {
	spec := &o.Spec.Template.Spec
	spec.ResourceClaims, spec.Containers[0].Resources.Claims = nil, nil
	for name, n := range map[corev1.ResourceName]int64{ResourceGPU: 1, resourceGPUMemory: int64(share)} {
		q := *resource.NewQuantity(n, resource.DecimalSI)
		spec.Containers[0].Resources.Requests[name], spec.Containers[0].Resources.Limits[name] = q, q
	}
}
