package sched

import (
	"fmt"
	"strings"

	"ainexus.io/nexus"
)

// shape is all of a job that decides where it fits. Jobs of one shape fit in the same places.
type shape struct {
	kind      nexus.Type
	nodes     nexus.Range
	workers   int
	gpus      nexus.GPUCount
	gpuMemory nexus.MiB
	models    string
	prefer    string
	mig       string
	topology  nexus.Topology
	cpu       nexus.CPU
	memory    nexus.MiB
	duration  nexus.Duration
}

func shapeOf(s *nexus.Spec) shape {
	sh := shape{
		kind: s.Type, nodes: s.Nodes, workers: s.Workers, gpus: s.Resources.GPUs,
		gpuMemory: s.Resources.GPUMemory, cpu: s.Resources.CPU, memory: s.Resources.Memory, duration: s.MaxDuration,
		mig: s.Resources.MIG, topology: s.Topology,
	}
	if len(s.Resources.GPUModel) > 0 {
		sh.models = strings.Join(s.Resources.GPUModel, "\n")
	}
	if len(s.PreferGPUs) > 0 {
		sh.prefer = fmt.Sprint(s.PreferGPUs)
	}
	return sh
}

// gang is how many nodes a job needs and may have. Zero values mean one.
func gang(s *nexus.Spec) nexus.Range {
	least := max(1, s.Nodes.Min)
	return nexus.Range{Min: least, Max: max(least, s.Nodes.Max)}
}
