package v1alpha1

import (
	"fmt"
	"strings"
)

// Defaults are what a job has that its spec leaves out, since the administrator of the cluster says so.
type Defaults struct {
	// GPUs are resources.gpus.
	GPUs int `json:"gpus,omitempty"`
	// GPUMemory is resources.gpu_memory.
	GPUMemory string `json:"gpuMemory,omitempty"`
	// GPUModel is resources.gpu_model.
	GPUModel []string `json:"gpuModel,omitempty"`
	// Nodes and Workers are those of the spec, together.
	Nodes   int `json:"nodes,omitempty"`
	Workers int `json:"workers,omitempty"`
	// Backend is NEXUS_BACKEND in the workers' environment.
	Backend string `json:"backend,omitempty"`
	// MasterPort is where rank 0 keeps its store.
	MasterPort int `json:"masterPort,omitempty"`
	// RuntimeClass is that of the pods.
	RuntimeClass string `json:"runtimeClass,omitempty"`
}

// String lists them for people, in the words of the job file where it has some; empty: there are none.
func (d *Defaults) String() string {
	var list []string
	add := func(is bool, format string, args ...any) {
		if is {
			list = append(list, fmt.Sprintf(format, args...))
		}
	}
	add(d.GPUs > 0, "resources.gpus %d", d.GPUs)
	add(d.GPUMemory != "", "resources.gpu_memory %s", d.GPUMemory)
	add(len(d.GPUModel) > 0, "resources.gpu_model %s", strings.Join(d.GPUModel, " or "))
	add(d.Nodes > 0, "nodes %d and workers %d", d.Nodes, d.Workers)
	add(d.Backend != "", "NEXUS_BACKEND %s", d.Backend)
	add(d.MasterPort > 0, "MASTER_PORT %d", d.MasterPort)
	add(d.RuntimeClass != "", "the runtime class %s", d.RuntimeClass)
	return strings.Join(list, ", ")
}
