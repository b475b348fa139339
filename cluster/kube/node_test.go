package kube

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"ainexus.io/nexus"
)

func machine(name string) *corev1.Node {
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{labelGPUProduct: "NVIDIA-H100-80GB-HBM3", labelGPUMemory: "81559", labelRack: "r1"}},
		Status: corev1.NodeStatus{
			Allocatable: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("63500m"), corev1.ResourceMemory: resource.MustParse("500Gi"), ResourceGPU: resource.MustParse("8")},
			Conditions:  []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}},
		},
	}
}

func TestANodeTellsOfItsGPUs(t *testing.T) {
	n := nodeOf(machine("n1"))
	if n.State != nexus.Ready || n.CPU != 63500 || n.Memory != 500<<10 || n.Rack != "r1" || len(n.GPUs) != 8 || n.GPUs[7].Model != "NVIDIA H100 80GB HBM3" || n.GPUs[7].Memory != 81559 {
		t.Errorf("it is read as %+v", n)
	}
	for state, change := range map[nexus.NodeState]func(*corev1.Node){
		nexus.Cordoned: func(o *corev1.Node) { o.Spec.Unschedulable = true },
		nexus.Lost:     func(o *corev1.Node) { o.Status.Conditions[0].Status = corev1.ConditionUnknown },
	} {
		o := machine("n1")
		change(o)
		if got := nodeOf(o).State; got != state {
			t.Errorf("it is %s and not %s", got, state)
		}
	}
	o := machine("n1")
	o.Spec.Taints = []corev1.Taint{{Key: string(ResourceGPU), Effect: corev1.TaintEffectNoSchedule}}
	if got := nodeOf(o).State; got != nexus.Ready {
		t.Errorf("the taint of GPU nodes makes it %s, but our pods tolerate it", got)
	}
	o.Spec.Taints = append(o.Spec.Taints, corev1.Taint{Key: "team", Effect: corev1.TaintEffectNoSchedule})
	if got := nodeOf(o).State; got != nexus.Cordoned {
		t.Errorf("a taint that our pods do not tolerate leaves it %s", got)
	}
}

// Where no feature labels are, what the node's agent says counts, as far as it holds for each GPU.
func TestANodesAgentTellsOfItsGPUs(t *testing.T) {
	for said, want := range map[string]nexus.GPU{
		`[{"uuid":"a","model":"NVIDIA L4","mib":23034,"healthy":true},{"uuid":"b","model":"NVIDIA L4","mib":23034,"healthy":true}]`: {Model: "NVIDIA L4", Memory: 23034},
		`[{"uuid":"a","model":"NVIDIA L4","mib":23034},{"uuid":"b","model":"NVIDIA T4","mib":15360}]`:                               {Memory: 15360},
		`[{"uuid":"a","model":"NVIDIA L4","mib":23034},{"uuid":"b","model":"","mib":0}]`:                                            {},
		// One fell off the bus while it was asked.
		`[{"uuid":"a","model":"NVIDIA L4","mib":23034,"healthy":true},{"uuid":"b","model":"NVIDIA L4","mib":0,"healthy":false}]`: {Model: "NVIDIA L4", Memory: 23034},
		`[]`:                  {},
		`{"model": "forged"}`: {},
		`[{"mib": -5}]`:       {},
	} {
		o := machine("n1")
		o.Labels, o.Annotations = nil, map[string]string{AnnotationGPUs: said}
		if _, err := strip(o); err != nil {
			t.Fatal(err)
		}
		for _, g := range nodeOf(o).GPUs {
			if g.Model != want.Model || g.Memory != want.Memory {
				t.Errorf("%s is read as %+v", said, g)
			}
		}
		o.Labels = machine("n1").Labels
		if g := nodeOf(o).GPUs[0]; g.Model != "NVIDIA H100 80GB HBM3" || g.Memory != 81559 {
			t.Errorf("%s outdoes the labels: %+v", said, g)
		}
	}
}

// Foreign pods take of a node what they ask for, and of the GPUs those places that no job of ours has.
func TestStrangersTakeWhatIsNotOurs(t *testing.T) {
	n := nodeOf(machine("n1"))
	seen := occupied(n, []*pod{{cpu: 2000, memory: 10, gpus: 2}, {cpu: 500, memory: 1, gpus: 1}}, map[int]bool{0: true, 7: true, 5: true})
	if seen.Taken != (nexus.Taken{CPU: 2500, Memory: 11}) {
		t.Errorf("they take %+v", seen.Taken)
	}
	for i, want := range []bool{0: false, 1: false, 2: false, 3: true, 4: true, 5: false, 6: true, 7: false} {
		if seen.GPUs[i].Taken != want {
			t.Errorf("place %d: taken %t", i, seen.GPUs[i].Taken)
		}
	}
	if n.GPUs[6].Taken {
		t.Error("the node as it is when empty was changed")
	}
}

func TestAPodTakesTheLargerOfItsBeginningAndItsRun(t *testing.T) {
	always := corev1.ContainerRestartPolicyAlways
	with := func(cpu, memory, gpus string) corev1.ResourceRequirements {
		r := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)}
		if gpus != "" {
			r[ResourceGPU] = resource.MustParse(gpus)
		}
		return corev1.ResourceRequirements{Requests: r}
	}
	limited := corev1.ResourceRequirements{Limits: corev1.ResourceList{ResourceGPU: resource.MustParse("1"), corev1.ResourceCPU: resource.MustParse("1")}}
	for _, c := range []struct {
		name   string
		spec   corev1.PodSpec
		cpu    nexus.CPU
		memory nexus.MiB
		gpus   int
	}{
		{"containers add up", corev1.PodSpec{Containers: []corev1.Container{{Resources: with("1", "1Gi", "2")}, {Resources: with("500m", "1", "")}}}, 1500, 1025, 2},
		{"a limit without a request is one", corev1.PodSpec{Containers: []corev1.Container{{Resources: limited}}}, 1000, 0, 1},
		{"a large init container", corev1.PodSpec{InitContainers: []corev1.Container{{Resources: with("4", "1Gi", "")}}, Containers: []corev1.Container{{Resources: with("1", "2Gi", "")}}}, 4000, 2048, 0},
		{"a sidecar stays", corev1.PodSpec{InitContainers: []corev1.Container{{RestartPolicy: &always, Resources: with("1", "1Gi", "")}, {Resources: with("2", "1Gi", "")}},
			Containers: []corev1.Container{{Resources: with("1", "1Gi", "")}}}, 3000, 2048, 0},
	} {
		cpu, memory, gpus := demand(&c.spec)
		if cpu != c.cpu || memory != c.memory || gpus != c.gpus {
			t.Errorf("%s: %s, %s, %d GPUs", c.name, cpu, memory, gpus)
		}
	}
}
