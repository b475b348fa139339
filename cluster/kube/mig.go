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

// migPrefix begins the names under which NVIDIA's device plugin counts MIG slices, one for each profile: its strategy
// "mixed". With its strategy "single" slices are counted as GPUs, and are such to us.
const migPrefix = "nvidia.com/mig-"

// gpuResource is the name under which a job's devices are counted.
func gpuResource(s *nexus.Spec) corev1.ResourceName {
	if s.Resources.MIG == "" {
		return ResourceGPU
	}
	return corev1.ResourceName(migPrefix + strings.ReplaceAll(s.Resources.MIG, "+", ".")) // a resource has no plus: 1g.10gb.me
}

// profileOf takes back what [gpuResource] does; false where it is no resource of slices.
func profileOf(name corev1.ResourceName) (string, bool) {
	profile, ok := strings.CutPrefix(string(name), migPrefix)
	if plain, with := strings.CutSuffix(profile, ".me"); with {
		profile = plain + "+me"
	}
	return profile, ok && profile != ""
}

// slicesOf are the MIG slices of a node, numbered after its whole GPUs, with the memory that GPU feature discovery labels
// them with.
func slicesOf(o *corev1.Node, model string, after int) []nexus.GPU {
	var list []nexus.GPU
	for _, name := range slices.Sorted(maps.Keys(o.Status.Allocatable)) {
		profile, ok := profileOf(name)
		if !ok {
			continue
		}
		memory, _ := strconv.ParseInt(o.Labels[string(name)+".memory"], 10, 64)
		of := cmp.Or(model, strings.ReplaceAll(o.Labels[string(name)+".product"], "-", " "))
		count := o.Status.Allocatable[name]
		for range min(int(count.Value()), maxGPUs) {
			list = append(list, nexus.GPU{Index: after + len(list), Model: of, Memory: nexus.MiB(memory), MIG: profile, Free: -1})
		}
	}
	return list
}

// sliceDemand is how many slices of each profile a pod takes; nil: none.
func sliceDemand(s *corev1.PodSpec) map[string]int {
	var wants map[string]int
	for _, c := range s.Containers {
		for name, n := range c.Resources.Limits {
			if profile, ok := profileOf(name); ok {
				if wants == nil {
					wants = map[string]int{}
				}
				wants[profile] += int(n.Value())
			}
		}
	}
	return wants
}

// wholeGPUs is how many devices of a node are not slices.
func wholeGPUs(n *nexus.Node) int {
	whole := 0
	for i := range n.GPUs {
		if n.GPUs[i].MIG == "" {
			whole++
		}
	}
	return whole
}
