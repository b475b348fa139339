package kube

import (
	"fmt"
	"slices"
	"strings"

	"ainexus.io/nexus"
)

// limit adds to why a job waits what it runs into, where the planner only says that it finds nothing: which queue there is
// not, and how large the GPUs are, or what they are called. Nodes that an autoscaler may add count.
func (p *Place) limit(s standing) string {
	r := &s.job.Spec.Resources
	switch {
	case s.hold.Code == nexus.WaitQueue:
		return "; spec.queue: there is no NexusQueue " + s.job.Spec.Queue
	case s.hold.Code != nexus.WaitUnfit || s.hold.Resource != "gpus" || s.hold.Have > 0:
		return ""
	case r.MIG != "":
		return "; spec.resources.mig: no node has slices " + r.MIG
	}
	largest, models := p.view.cardsOf(p.opts.Templates)
	switch {
	case r.GPUMemory > largest:
		return fmt.Sprintf("; spec.resources.gpu_memory: the largest GPU that there is has %s, and not %s", largest, r.GPUMemory)
	case len(r.GPUModel) > 0 && len(models) > 0:
		return fmt.Sprintf("; spec.resources.gpu_model: no node has %s; there are %s", strings.Join(r.GPUModel, " or "), strings.Join(models, ", "))
	}
	return ""
}

// cardsOf gives the memory of the largest GPU of all nodes, and the names of models.
func (v *view) cardsOf(templates []nexus.Node) (largest nexus.MiB, models []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	look := func(n *nexus.Node) {
		for i := range n.GPUs {
			g := &n.GPUs[i]
			largest = max(largest, g.Memory)
			if g.Model != "" && !slices.Contains(models, g.Model) {
				models = append(models, g.Model)
			}
		}
	}
	for _, n := range v.nodes {
		look(&n)
	}
	for i := range templates {
		look(&templates[i])
	}
	slices.Sort(models)
	return largest, models
}
