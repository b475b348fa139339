package sched

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ainexus.io/nexus"
)

// crowded makes small fleets on which several jobs wait for one another: for those that run until a known time, for room
// in one rack, for a share of a GPU.
func crowded(t *rapid.T) nexus.Snapshot {
	w := twinWorld(t)
	for _, id := range slices.Sorted(maps.Keys(w.jobs)) {
		j := w.jobs[id]
		j.Spec.MaxDuration = nexus.Duration(time.Duration(rapid.IntRange(2, 6).Draw(t, "hours")) * time.Hour)
		w.setJob(j)
	}
	for i := range rapid.IntRange(3, 6).Draw(t, "waiting") {
		j := anyJob(t, fmt.Sprintf("waits%d", i), w.at)
		j.Spec.Queue, j.Member = "default", nil
		switch rapid.SampledFrom([]string{"as it is", "gang", "share"}).Draw(t, "wants") {
		case "gang":
			j.Spec.Nodes, j.Spec.Topology = nexus.Range{Min: 2, Max: 2}, nexus.Topology{Require: nexus.LevelRack}
		case "share":
			j.Spec.Resources = nexus.Resources{GPUMemory: nexus.MiB(rapid.IntRange(10, 40).Draw(t, "GiB")) << 10, CPU: 500}
			j.Spec.Workers, j.Spec.Nodes, j.Spec.Topology = 1, nexus.Range{Min: 1, Max: 1}, nexus.Topology{}
		}
		w.setJob(j)
	}
	w.apply(w.step())
	return w.snapshot()
}

// Every kind of fix that there is is offered over the same stories each time, and each one that is offered works: the
// law about fixes is not about nothing.
func TestEveryKindOfFixIsSeenToWork(t *testing.T) {
	seen := map[string]int{}
	stories := rapid.Custom(crowded)
	for seed := range 300 {
		s := stories.Example(seed)
		for i := range s.Jobs {
			if s.Jobs[i].Phase != nexus.Pending {
				continue
			}
			for key := range fixed(t, s, i) {
				seen[key]++
			}
		}
	}
	for _, key := range []string{"max_duration", "topology", "resources.gpu_model", "priority", "nodes", "resources.gpus", "resources.cpu", "resources.gpu_memory"} {
		if seen[key] == 0 {
			t.Errorf("no fix sets %s; those that were offered: %v", key, seen)
		}
	}
	t.Log(seen)
}
