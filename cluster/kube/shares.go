package kube

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"ainexus.io/cluster/kube/v1alpha1"
	"ainexus.io/nexus"
)

// Shares of a GPU are had where a driver publishes its devices as ones that several claims may have, with a capacity
// "memory" (dynamic resource allocation, consumable capacity). The kube-scheduler keeps that account.
const (
	// shareDriver is the driver whose devices count, and the name of the DeviceClass that claims ask for.
	shareDriver = "gpu.nvidia.com"
	// capacityMemory is what claims take of a device.
	capacityMemory = resourcev1.QualifiedName("memory")
	// claimName is what a pod calls its claim.
	claimName = "gpu"
)

// sharedKind is a profile of MIG slices that no GPU has. Devices that are had in parts are no whole GPUs, for which the
// device plugin's account counts; so to the planner they and the jobs that ask for parts are of a kind of their own.
const sharedKind = "shared"

// device names a device of [shareDriver].
type device struct{ pool, name string }

// share is what a claim has of a device.
type share struct {
	device device
	memory nexus.MiB // 0: all of it
	pod    string    // namespace/name of whom it is for; empty: nobody's yet
}

// slicesPool is what a driver tells of the devices of one node.
type slicesPool struct {
	node    string
	devices []sharedGPU // of the newest generation that was told whole
	told    map[string]*resourcev1.ResourceSlice
}

// sharedGPU is a device that several claims may have.
type sharedGPU struct {
	device device
	uuid   string // empty: the driver does not tell
	gpu    nexus.GPU
}

// sharedOf reads the devices of a slice that are given in parts.
func sharedOf(o *resourcev1.ResourceSlice) []sharedGPU {
	var list []sharedGPU
	for i := range o.Spec.Devices {
		d := &o.Spec.Devices[i]
		memory, has := inDriver(d.Capacity, capacityMemory)
		if !has || d.AllowMultipleAllocations == nil || !*d.AllowMultipleAllocations {
			continue
		}
		g := nexus.GPU{Model: attributeOf(d, "productName"), Memory: nexus.MiB(memory.Value.Value() >> 20), MIG: sharedKind, Free: -1}
		for _, t := range d.Taints {
			if t.Effect == resourcev1.DeviceTaintEffectNoSchedule || t.Effect == resourcev1.DeviceTaintEffectNoExecute {
				g.Problem = "its driver keeps claims from it: " + t.Key
			}
		}
		list = append(list, sharedGPU{device{o.Spec.Pool.Name, d.Name}, attributeOf(d, "uuid"), g})
	}
	return list
}

// inDriver finds a name. One without a domain is in the driver's.
func inDriver[V any](values map[resourcev1.QualifiedName]V, name resourcev1.QualifiedName) (V, bool) {
	value, has := values[name]
	if !has {
		value, has = values[shareDriver+"/"+name]
	}
	return value, has
}

func attributeOf(d *resourcev1.Device, name resourcev1.QualifiedName) string {
	if a, _ := inDriver(d.Attributes, name); a.StringValue != nil {
		return *a.StringValue
	}
	return ""
}

// sharesOf is what a claim has.
func sharesOf(o *resourcev1.ResourceClaim) []share {
	if o.Status.Allocation == nil {
		return nil
	}
	pod := ""
	for _, r := range o.Status.ReservedFor {
		if r.Resource == resourcePods {
			pod = o.Namespace + "/" + r.Name
		}
	}
	var list []share
	for _, r := range o.Status.Allocation.Devices.Results {
		if r.Driver != shareDriver || r.AdminAccess != nil && *r.AdminAccess {
			continue
		}
		has := share{device: device{r.Pool, r.Device}, pod: pod}
		if q, ok := inDriver(r.ConsumedCapacity, capacityMemory); ok {
			has.memory = nexus.MiB((q.Value() + 1<<20 - 1) >> 20)
		}
		list = append(list, has)
	}
	return list
}

// setSlice takes in a slice, or takes it away. While a driver tells a new generation of its pool bit by bit, the one
// before counts: the kube-scheduler waits too.
func (v *view) setSlice(o *resourcev1.ResourceSlice, there bool) {
	if o.Spec.Driver != shareDriver || o.Spec.NodeName == nil {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	name := o.Spec.Pool.Name
	p := v.pools[name]
	if p == nil {
		p = &slicesPool{told: map[string]*resourcev1.ResourceSlice{}}
		v.pools[name] = p
	}
	p.node = *o.Spec.NodeName
	v.dirtyNodes[p.node] = true
	if there {
		p.told[o.Name] = o
	} else {
		delete(p.told, o.Name)
	}
	var newest []*resourcev1.ResourceSlice
	for _, key := range slices.Sorted(maps.Keys(p.told)) {
		switch s := p.told[key]; {
		case len(newest) == 0 || s.Spec.Pool.Generation == newest[0].Spec.Pool.Generation:
			newest = append(newest, s)
		case s.Spec.Pool.Generation > newest[0].Spec.Pool.Generation:
			newest = []*resourcev1.ResourceSlice{s}
		}
	}
	if len(newest) == 0 {
		delete(v.pools, name)
	} else if int64(len(newest)) == newest[0].Spec.Pool.ResourceSliceCount {
		p.devices = nil
		for _, s := range newest {
			p.devices = append(p.devices, sharedOf(s)...)
		}
	}
	v.judgeShares()
	v.ring()
}

// judgeShares has jobs that wait for a share judged anew when the cluster begins or ceases to have such.
func (v *view) judgeShares() {
	now := len(v.cards) > 0
	for _, p := range v.pools {
		if now {
			break
		}
		now = len(p.devices) > 0
	}
	if now == v.sharing {
		return
	}
	v.sharing = now
	for id, r := range v.jobs {
		if r.job.Spec.Resources.Share() && r.job.Phase == nexus.Pending && !isForeign(r.object) {
			r.job, r.unable = jobOf(r.object, v.sharing)
			v.resolve(r)
			v.dirtyJobs[id] = true
			v.rejudged = append(v.rejudged, id)
		}
	}
}

// takeRejudged gives the jobs about which there may be something to tell since devices came or went.
func (v *view) takeRejudged() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	list := v.rejudged
	v.rejudged = nil
	return list
}

// setClaim takes in what a claim has; nil: nothing.
func (v *view) setClaim(key string, has []share) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, s := range slices.Concat(v.claims[key], has) {
		if p := v.pools[s.device.pool]; p != nil {
			v.dirtyNodes[p.node] = true
		}
	}
	if v.claims[key] = has; has == nil {
		delete(v.claims, key)
	}
	v.ring()
}

// withShared adds the devices of a node that are given in parts, less what strangers' claims have of them: those of
// others, and ours where the kube-scheduler chose another device, rounded up what was asked for, or that outlive their
// attempt.
func (v *view) withShared(n nexus.Node) nexus.Node {
	list := v.sharedOn(n.Name)
	if len(list) == 0 {
		return n
	}
	n.GPUs = slices.Clone(n.GPUs)
	at := map[device]int{}
	for _, d := range list {
		d.gpu.Index = len(n.GPUs)
		at[d.device] = d.gpu.Index
		n.GPUs = append(n.GPUs, d.gpu)
	}
	for _, has := range v.claims {
		for _, s := range has {
			i, here := at[s.device]
			if !here {
				continue
			}
			g := &n.GPUs[i]
			if s.memory == 0 {
				s.memory = g.Memory
			}
			g.Foreign = min(g.Memory, g.Foreign+max(0, s.memory-v.planned(s.pod, n.Name, i)))
		}
	}
	return n
}

// sharedOn are the devices of a node that are given in parts, in the order in which they are numbered after all others.
func (v *view) sharedOn(node string) []sharedGPU {
	var list []sharedGPU
	for _, p := range v.pools {
		if p.node == node {
			list = append(list, p.devices...)
		}
	}
	slices.SortFunc(list, func(a, b sharedGPU) int {
		return cmp.Or(cmp.Compare(a.device.pool, b.device.pool), cmp.Compare(a.device.name, b.device.name))
	})
	return list
}

// planned is what the planner gave to the attempt of a pod of one device.
func (v *view) planned(pod, node string, index int) nexus.MiB {
	p := v.pods[pod]
	if p == nil || p.over {
		return 0
	}
	r := v.jobs[p.job]
	if r == nil || !r.job.Phase.Live() || r.job.Attempt != p.attempt || r.job.Placement == nil {
		return 0
	}
	for _, s := range r.job.Placement.Seats {
		if s.Node == node && len(s.GPUs) == 1 && s.GPUs[0].Index == index {
			return s.Share
		}
	}
	return 0
}

// forPlanner is a job as the planner hears of it.
func forPlanner(j nexus.Job) nexus.Job {
	if j.Spec.Resources.Share() {
		j.Spec.Resources.MIG = sharedKind
	}
	return j
}

// devicesOf are the devices that an attempt was planned on, by uuid; nil where the driver does not tell them.
func (v *view) devicesOf(seats []nexus.Seat) []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	var ids []string
	for _, s := range seats {
		before, list := len(v.nodes[s.Node].GPUs), v.sharedOn(s.Node)
		for _, g := range s.GPUs {
			i := g.Index - before
			if i < 0 || i >= len(list) || list[i].uuid == "" {
				return nil
			}
			ids = append(ids, list[i].uuid)
		}
	}
	slices.Sort(ids)
	return ids
}

// claimFor is what the claims of an attempt's pods are made from: so much memory of a device, of the planned ones where
// they can be named.
func claimFor(o *v1alpha1.NexusJob, j nexus.Job, devices []string) *resourcev1.ResourceClaimTemplate {
	expression := "device.allowMultipleAllocations"
	if len(devices) > 0 {
		own := fmt.Sprintf("device.attributes[%q]", shareDriver)
		quoted := make([]string, len(devices))
		for i, id := range devices {
			quoted[i] = fmt.Sprintf("%q", id)
		}
		expression = fmt.Sprintf(`"uuid" in %s && %s.uuid in [%s]`, own, own, strings.Join(quoted, ", "))
	}
	asks := map[resourcev1.QualifiedName]resource.Quantity{capacityMemory: *resource.NewQuantity(int64(j.Placement.Seats[0].Share)<<20, resource.BinarySI)}
	return &resourcev1.ResourceClaimTemplate{
		ObjectMeta: metav1.ObjectMeta{Namespace: o.Namespace, Name: attemptName(o.Name, j.Attempt), Labels: labelsOf(o, j.Attempt), OwnerReferences: ownerOf(o)},
		Spec: resourcev1.ResourceClaimTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: labelsOf(o, j.Attempt)},
			Spec: resourcev1.ResourceClaimSpec{Devices: resourcev1.DeviceClaim{Requests: []resourcev1.DeviceRequest{{
				Name: claimName,
				Exactly: &resourcev1.ExactDeviceRequest{
					DeviceClassName: shareDriver, AllocationMode: resourcev1.DeviceAllocationModeExactCount, Count: 1,
					Selectors: []resourcev1.DeviceSelector{{CEL: &resourcev1.CELDeviceSelector{Expression: expression}}},
					Capacity:  &resourcev1.CapacityRequirements{Requests: asks},
				},
			}}}},
		},
	}
}

// addClaim has a pod wait for its share.
func addClaim(spec *corev1.PodSpec, o *v1alpha1.NexusJob, j nexus.Job) {
	if !j.Spec.Resources.Share() {
		return
	}
	template := attemptName(o.Name, j.Attempt)
	spec.ResourceClaims = []corev1.PodResourceClaim{{Name: claimName, ResourceClaimTemplateName: &template}}
	spec.Containers[0].Resources.Claims = []corev1.ResourceClaim{{Name: claimName}}
}
