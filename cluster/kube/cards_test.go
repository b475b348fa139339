package kube

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"ainexus.io/nexus"
)

func limited(limits map[corev1.ResourceName]string) *corev1.PodSpec {
	list := corev1.ResourceList{}
	for name, n := range limits {
		list[name] = resource.MustParse(n)
	}
	return &corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Resources: corev1.ResourceRequirements{Limits: list}}}}
}

// The cards of a node whose memory is counted are for shares where they take several tasks each; where they take one, and
// where nothing is counted, they are whole GPUs as ever.
func TestCardsAreForSharesWhereTheyTakeSeveralTasks(t *testing.T) {
	for _, c := range []struct {
		tasks, memory string
		want          int // shared cards; 0: whole ones, as many as tasks
	}{
		{"20", "163840", 2}, {"2", "163840", 0}, {"8", "0", 0}, {"10", "81559", 1},
	} {
		o := machine("n1")
		o.Labels[labelGPUMemory] = "81920"
		o.Status.Allocatable[ResourceGPU], o.Status.Allocatable[resourceGPUMemory] = resource.MustParse(c.tasks), resource.MustParse(c.memory)
		n := nodeOf(o)
		if c.want == 0 && wholeGPUs(&n) == 0 || c.want > 0 && (len(n.GPUs) != c.want || wholeGPUs(&n) != 0) {
			t.Errorf("%+v: %+v", c, n.GPUs)
		}
	}
}

// What strangers have of cards is told from the last card down, whole ones by their size.
func TestStrangersOnCards(t *testing.T) {
	n := nexus.Node{GPUs: []nexus.GPU{{Memory: 80 << 10, MIG: sharedKind}, {Index: 1, Memory: 80 << 10, MIG: sharedKind}}}
	part, whole := &pod{}, &pod{}
	part.cards, part.wholeCards = cardMemory(limited(map[corev1.ResourceName]string{ResourceGPU: "2", resourceGPUMemory: "5120"}))
	whole.cards, whole.wholeCards = cardMemory(limited(map[corev1.ResourceName]string{ResourceGPU: "1"}))
	if got := lent(n, []*pod{part, whole}); got.GPUs[1].Foreign != 80<<10 || got.GPUs[0].Foreign != 10<<10 {
		t.Errorf("they have %s and %s", got.GPUs[0].Foreign, got.GPUs[1].Foreign)
	}
	if got := lent(n, nil); got.GPUs[1].Foreign != 0 {
		t.Errorf("without any: %+v", got.GPUs)
	}
}
