package kube

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"ainexus.io/cluster/kube/v1alpha1"
	"ainexus.io/nexus"
)

// slice is what a driver tells of one GPU of 80 GiB of node n1, in a pool of so many slices.
func slice(name string, generation, of int64) *resourcev1.ResourceSlice {
	yes, node, id := true, "n1", "GPU-"+name
	return &resourcev1.ResourceSlice{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: resourcev1.ResourceSliceSpec{
		Driver: shareDriver, NodeName: &node, Pool: resourcev1.ResourcePool{Name: "n1", Generation: generation, ResourceSliceCount: of},
		Devices: []resourcev1.Device{
			{Name: name, AllowMultipleAllocations: &yes, Attributes: map[resourcev1.QualifiedName]resourcev1.DeviceAttribute{"uuid": {StringValue: &id}},
				Capacity: map[resourcev1.QualifiedName]resourcev1.DeviceCapacity{capacityMemory: {Value: resource.MustParse("80Gi")}}},
			{Name: name + "-whole", Capacity: map[resourcev1.QualifiedName]resourcev1.DeviceCapacity{capacityMemory: {Value: resource.MustParse("80Gi")}}},
		},
	}}
}

func claim(pod, device, memory string) []share {
	return sharesOf(&resourcev1.ResourceClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: pod}, Status: resourcev1.ResourceClaimStatus{
		ReservedFor: []resourcev1.ResourceClaimConsumerReference{{Resource: resourcePods, Name: pod}},
		Allocation: &resourcev1.AllocationResult{Devices: resourcev1.DeviceAllocationResult{Results: []resourcev1.DeviceRequestAllocationResult{
			{Driver: shareDriver, Pool: "n1", Device: device, ConsumedCapacity: map[resourcev1.QualifiedName]resource.Quantity{capacityMemory: resource.MustParse(memory)}},
			{Driver: "net.example.com", Pool: "n1", Device: device},
		}}},
	}})
}

func shareJob(id, version string, phase nexus.Phase, gpu int) *v1alpha1.NexusJob {
	o := object(id, version, phase, 1)
	o.Spec.Resources = v1alpha1.Resources{GPUMemory: v1alpha1.Any{Raw: []byte(`"30GiB"`)}}
	if phase.Live() {
		o.Status.Seats = []v1alpha1.Seat{{Node: "n1", Workers: 1, GPUs: []int{gpu}, Share: 30 << 10}}
	}
	return o
}

// Of a device that several claims have, the planner accounts for what it gave itself; the rest is told it as others' use:
// strangers' claims, ours on another device than planned, what was rounded up, and what outlives its attempt.
func TestOthersShareOfADeviceIsTold(t *testing.T) {
	v := newView()
	n := nodeOf(machine("n1"))
	v.setNode("n1", &n)
	v.setSlice(slice("gpu-0", 1, 2), true)
	if d := told(v); len(d.Nodes[0].GPUs) != 8 {
		t.Fatalf("half a pool is told: %+v", d.Nodes[0].GPUs)
	}
	v.setSlice(slice("gpu-1", 1, 2), true)
	d := told(v)
	if g := d.Nodes[0].GPUs; len(g) != 10 || g[8].MIG != sharedKind || g[8].Memory != 80<<10 || g[8].Index != 8 || g[7].MIG != "" {
		t.Fatalf("the node has %+v", g)
	}
	foreign := func(what string, first, second nexus.MiB) {
		t.Helper()
		if n, _ := v.present("n1"); n.GPUs[8].Foreign != first || n.GPUs[9].Foreign != second {
			t.Errorf("%s: others have %s and %s", what, n.GPUs[8].Foreign, n.GPUs[9].Foreign)
		}
	}
	v.setJob(shareJob("a", "5", nexus.Running, 8))
	v.setPod("team", "a-1-0", &pod{namespace: "team", name: "a-1-0", job: "a", attempt: 1, node: "n1", running: true})
	v.setClaim("team/a", claim("a-1-0", "gpu-0", "30Gi"))
	foreign("as planned", 0, 0)
	v.setClaim("team/a", claim("a-1-0", "gpu-0", "32Gi"))
	foreign("rounded up", 2<<10, 0)
	v.setClaim("team/a", claim("a-1-0", "gpu-1", "30Gi"))
	foreign("on another device", 0, 30<<10)
	v.setClaim("team/b", claim("notebook", "gpu-0", "15Gi"))
	foreign("beside a stranger", 15<<10, 30<<10)
	v.setClaim("team/b", nil)
	v.setClaim("team/a", claim("a-1-0", "gpu-0", "30Gi"))
	v.setJob(shareJob("a", "6", nexus.Pending, 0))
	foreign("after its attempt", 30<<10, 0)
	v.setClaim("team/a", nil)
	foreign("when all are gone", 0, 0)

	v.setSlice(slice("gpu-2", 2, 2), true)
	if n, _ := v.present("n1"); len(n.GPUs) != 10 {
		t.Errorf("while a new generation is told by halves: %+v", n.GPUs)
	}
	v.setSlice(slice("gpu-3", 2, 1), true) // the driver thinks again: not complete, for two slices are there
	v.setSlice(slice("gpu-2", 2, 2), false)
	if n, _ := v.present("n1"); len(n.GPUs) != 9 {
		t.Errorf("when it is whole: %+v", n.GPUs)
	}
}

// A job that waits for a share is heard of by the planner when there are devices to share, as one that wants no whole GPU; one
// that lives stays known when they go.
func TestSharesComeAndGo(t *testing.T) {
	v := newView()
	n := nodeOf(machine("n1"))
	v.setNode("n1", &n)
	v.setJob(shareJob("a", "1", nexus.Pending, 0))
	v.setJob(shareJob("b", "2", nexus.Running, 8))
	if d := told(v); len(d.Jobs) != 1 || d.Jobs[0].ID != "b" {
		t.Fatalf("without devices: %+v", d.Jobs)
	}
	v.setSlice(slice("gpu-0", 1, 1), true)
	if d := told(v); len(d.Jobs) != 1 || d.Jobs[0].ID != "a" || d.Jobs[0].Spec.Resources.MIG != sharedKind {
		t.Fatalf("with a device: %+v", d.Jobs)
	}
	if list := v.takeRejudged(); len(list) != 1 || list[0] != "a" {
		t.Errorf("looked at anew: %v", list)
	}
	if s, _ := v.look("a", time.Time{}); s.job.Spec.Resources.MIG != "" {
		t.Error("what its pods are told is not what its file says")
	}
	v.setSlice(slice("gpu-0", 1, 1), false)
	if d := told(v); len(d.GoneJobs) != 1 || d.GoneJobs[0] != "a" || len(d.Nodes) != 1 || len(d.Nodes[0].GPUs) != 8 {
		t.Fatalf("when it is gone: %+v", d)
	}
}

// The claims of an attempt name the device that was planned, where the driver tells its uuid.
func TestAClaimNamesItsDevice(t *testing.T) {
	v := newView()
	n := nodeOf(machine("n1"))
	v.setNode("n1", &n)
	v.setSlice(slice("gpu-0", 1, 2), true)
	v.setSlice(slice("gpu-1", 1, 2), true)
	o := shareJob("a", "5", nexus.Starting, 9)
	job, err := jobOf(o, true)
	if err != nil {
		t.Fatal(err)
	}
	made := claimFor(o, job, v.devicesOf(job.Placement.Seats)).Spec.Spec.Devices.Requests[0].Exactly
	if q := made.Capacity.Requests[capacityMemory]; q.String() != "30Gi" || made.DeviceClassName != shareDriver {
		t.Errorf("it asks for %s of %s", q.String(), made.DeviceClassName)
	}
	if is := made.Selectors[0].CEL.Expression; !strings.Contains(is, `in ["GPU-gpu-1"]`) {
		t.Errorf("it selects %s", is)
	}
	if is := claimFor(o, job, nil).Spec.Spec.Devices.Requests[0].Exactly.Selectors[0].CEL.Expression; is != "device.allowMultipleAllocations" {
		t.Errorf("without a uuid it selects %s", is)
	}
	spec := attemptFor(o, job, Options{Image: "image"}).Spec.Template.Spec
	if _, whole := spec.Containers[0].Resources.Limits[corev1.ResourceName(ResourceGPU)]; whole || *spec.ResourceClaims[0].ResourceClaimTemplateName != "a-1" || spec.Containers[0].Resources.Claims[0].Name != claimName {
		t.Errorf("its pod takes %+v", spec.Containers[0].Resources)
	}
}
