package kube

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"ainexus.io/cluster/kube/v1alpha1"
	"ainexus.io/nexus"
)

// Defaults are what an administrator wants NexusJobs to have that leave it out, in the words of the chart's values. They
// are never written into anybody's spec: what a job got of them is in its status, from when it is first told of on, and stays
// as it is once the job was admitted, so that a change of them changes nothing that runs.
type Defaults struct {
	GPU         GPUDefaults         `json:"gpu"`
	Distributed DistributedDefaults `json:"distributed"`
}

// GPUDefaults are of jobs with GPUs, except Count, which gives some to those without a word about them.
type GPUDefaults struct {
	// Count is how many whole GPUs a node of a job gives. Default: none.
	Count int `json:"count"`
	// Memory is what each whole GPU must have, as a job file has it: "40GiB". Default: no matter.
	Memory string `json:"memory"`
	// Model are the models that will do. Default: any.
	Model []string `json:"model"`
	// RuntimeClassName is that of the pods. Default: the nodes' own runtime.
	RuntimeClassName string `json:"runtimeClassName"`
}

// DistributedDefaults are of training jobs.
type DistributedDefaults struct {
	// Enabled has jobs that say neither nodes nor workers run WorldSize ranks. Default: one node, and a rank per GPU.
	Enabled bool `json:"enabled"`
	// WorldSize is how many ranks that is, on all nodes together.
	WorldSize int `json:"worldSize"`
	// Backend is NEXUS_BACKEND in the workers' environment. Default: what the SDK finds.
	Backend string `json:"backend"`
	// MasterPort is where rank 0 keeps its store. Default: 29500.
	MasterPort int `json:"masterPort"`
}

// ConditionDefaulted says what a job has of the cluster's defaults.
const ConditionDefaulted = "Defaulted"

// ParseDefaults reads defaults as YAML. A field that there is not is an error.
func ParseDefaults(text []byte) (Defaults, error) {
	var d Defaults
	wrong := func(format string, args ...any) (Defaults, error) {
		return Defaults{}, &nexus.Error{Code: nexus.CodeInvalid, Message: "defaults of jobs: " + fmt.Sprintf(format, args...), Hint: "docs/chart.md has what there is"}
	}
	if err := yaml.UnmarshalStrict(text, &d); err != nil {
		return wrong("%v", err)
	}
	var memory nexus.MiB
	g, w := &d.GPU, &d.Distributed
	switch {
	case g.Count < 0 || g.Count > 4096:
		return wrong("gpu.count: %d is not from 0 to 4096", g.Count)
	case g.Memory != "" && memory.UnmarshalText([]byte(g.Memory)) != nil:
		return wrong("gpu.memory: %q is not an amount of memory such as 40GiB", g.Memory)
	case w.Enabled && (w.WorldSize < 1 || w.WorldSize > 4096):
		return wrong("distributed.worldSize: %d is not from 1 to 4096", w.WorldSize)
	case w.MasterPort < 0 || w.MasterPort == portRendezvous || w.MasterPort > 65535:
		return wrong("distributed.masterPort: %d is no port for the store; on %d the nodes meet", w.MasterPort, portRendezvous)
	}
	if w.Enabled {
		if _, _, err := ranks(w.WorldSize, g.Count); err != nil {
			return wrong("distributed.worldSize: %v", err)
		}
	}
	return d, nil
}

// ranks is how a world is laid out where each node gives so many GPUs: a rank per GPU on as many nodes as it takes, or
// all of them on one node, each with as many GPUs as the others.
func ranks(world, gpus int) (nodes, workers int, err error) {
	world, each := max(1, world), max(1, gpus)
	switch {
	case world >= each && world%each == 0:
		return world / each, each, nil
	case world < each && each%world == 0:
		return 1, world, nil
	}
	return 0, 0, errors.New(strconv.Itoa(world) + " ranks cannot have the same number each of the " + strconv.Itoa(gpus) + " GPUs of a node")
}

// of gives what of the defaults a spec leaves out; nil: nothing.
func (d *Defaults) of(s *v1alpha1.JobSpec) *v1alpha1.Defaults {
	f, r := &v1alpha1.Defaults{}, &s.Resources
	gpus, _ := strconv.Atoi(strings.Trim(string(r.GPUs.Raw), `"`)) // auto is refused elsewhere
	silent := r.GPUs.IsZero() && r.GPUMemory.IsZero() && r.MIG == ""
	if silent && d.GPU.Count%max(1, s.Workers) == 0 { // else it says how many workers, and they could not have equal parts
		f.GPUs, gpus = d.GPU.Count, d.GPU.Count
	}
	whole, part := gpus > 0 && r.MIG == "", r.GPUs.IsZero() && !r.GPUMemory.IsZero()
	if whole && r.GPUMemory.IsZero() {
		f.GPUMemory = d.GPU.Memory
	}
	if (whole || part) && len(r.GPUModel) == 0 {
		f.GPUModel = d.GPU.Model
	}
	onGPUs := whole || part || r.MIG != ""
	if onGPUs {
		f.RuntimeClass = d.GPU.RuntimeClassName
	}
	if w := &d.Distributed; s.Type == "" || s.Type == string(nexus.Training) {
		if onGPUs || w.Backend != "nccl" { // which needs them
			f.Backend = w.Backend
		}
		if w.MasterPort != portStore {
			f.MasterPort = w.MasterPort
		}
		near := s.Topology.Require == string(nexus.LevelIsland) || s.Topology.Require == string(nexus.LevelNode)
		nodes, workers, err := ranks(w.WorldSize, gpus)
		if w.Enabled && s.Nodes.IsZero() && s.Workers == 0 && err == nil && !(near && nodes > 1) && !(part && workers > 1) {
			f.Nodes, f.Workers = nodes, workers
		}
	}
	if f.String() == "" {
		return nil
	}
	return f
}

// completed is a job with what it leaves out and has of the cluster's defaults.
func completed(o *v1alpha1.NexusJob) *v1alpha1.NexusJob {
	if o.Status.Defaults == nil {
		return o
	}
	all := *o
	all.Spec = fill(o.Spec, o.Status.Defaults)
	return &all
}

// fill gives a spec what it leaves out and its job has of the cluster's defaults.
func fill(s v1alpha1.JobSpec, f *v1alpha1.Defaults) v1alpha1.JobSpec {
	raw := func(format string, args ...any) v1alpha1.Any {
		return v1alpha1.Any{Raw: fmt.Appendf(nil, format, args...)}
	}
	r := &s.Resources
	if f.GPUs > 0 && r.GPUs.IsZero() && r.GPUMemory.IsZero() && r.MIG == "" {
		r.GPUs = raw("%d", f.GPUs)
	}
	if f.GPUMemory != "" && r.GPUMemory.IsZero() && !r.GPUs.IsZero() && r.MIG == "" {
		r.GPUMemory = raw("%q", f.GPUMemory)
	}
	if len(r.GPUModel) == 0 {
		r.GPUModel = f.GPUModel
	}
	if f.Nodes > 0 && s.Nodes.IsZero() && s.Workers == 0 {
		s.Nodes, s.Workers = raw("%d", f.Nodes), f.Workers
	}
	return s
}

// withDefaults is a job as the controller sees it: until it is admitted with the defaults as they are now, then with those
// that it was admitted with.
func (v *view) withDefaults(o *v1alpha1.NexusJob) *v1alpha1.NexusJob {
	if isForeign(o) || o.Status.Attempt > 0 || nexus.Phase(o.Status.Phase).Over() {
		return o
	}
	seen := *o // what was told is read only
	seen.Status.Defaults = v.defaults.of(&o.Spec)
	return &seen
}

// setDefaulted has a condition say what a job got that its spec leaves out.
func setDefaulted(o *v1alpha1.NexusJob, at time.Time) {
	if o.Status.Defaults == nil {
		meta.RemoveStatusCondition(&o.Status.Conditions, ConditionDefaulted)
		return
	}
	meta.SetStatusCondition(&o.Status.Conditions, metav1.Condition{Type: ConditionDefaulted, Status: metav1.ConditionTrue, Reason: "ClusterDefaults",
		Message: defaulted(o.Status.Defaults), ObservedGeneration: o.Generation, LastTransitionTime: metav1.NewTime(at)})
}

func defaulted(f *v1alpha1.Defaults) string { return "of the cluster's defaults it has " + f.String() }

// masterPort is where rank 0 of a job keeps its store.
func masterPort(o *v1alpha1.NexusJob) int {
	if f := o.Status.Defaults; f != nil && f.MasterPort > 0 {
		return f.MasterPort
	}
	return portStore
}
