package sched

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"ainexus.io/nexus"
)

// steadyNode is mostly there, and has room.
func steadyNode(t *rapid.T, name string) nexus.Node {
	n := anyNode(t, name)
	if rapid.IntRange(0, 5).Draw(t, "steady") < 5 {
		n.State, n.CPU = nexus.Ready, 8000
	}
	return n
}

// anyElastic is mostly gangs that may grow and shrink, small enough to meet.
func anyElastic(t *rapid.T, id string, at time.Time) nexus.Job {
	j := anyJob(t, id, at)
	if rapid.IntRange(0, 3).Draw(t, "as it is") == 3 && !j.Spec.Resources.GPUs.Auto {
		return j
	}
	s := &j.Spec
	j.Member = nil
	s.Priority = nexus.Priority(rapid.SampledFrom([]int{0, 1, -1}).Draw(t, "urgency"))
	s.Queue = rapid.SampledFrom([]string{"default", "default", "default", "a"}).Draw(t, "line")
	s.Nodes = rapid.SampledFrom([]nexus.Range{{Min: 1, Max: 4}, {Min: 1, Max: 2}, {Min: 2, Max: 3}, {Min: 1, Max: 1}}).Draw(t, "size")
	s.Resources = nexus.Resources{GPUs: nexus.GPUCount{N: rapid.IntRange(0, 2).Draw(t, "devices")}}
	s.Workers = max(1, s.Resources.GPUs.N)
	s.Resources.CPU = nexus.CPU(500 * s.Workers)
	if s.Topology.Require == nexus.LevelIsland {
		s.Topology = nexus.Topology{}
	}
	s.Checkpoint = &nexus.CheckpointSpec{}
	if rapid.IntRange(0, 2).Draw(t, "saved before") < 2 {
		j.CheckpointAt = at
	}
	return j
}

// The laws hold where most jobs are elastic. An attempt that nobody more urgent wants anything of is not resized before it
// has run for ten minutes (I5, fairResize); and jobs do grow and shrink.
func TestElasticLaws(t *testing.T) {
	grown, shrunk := 0, 0
	story := func(t *rapid.T) {
		life(t, kindsOf{steadyNode, anyElastic, 2, anyQueues}, func(w *world, before nexus.Snapshot, plan nexus.Plan) {
			w.keepsLaws(t, before, plan)
			for _, v := range plan.Evict {
				grown += bit(v.Nodes > 0 && v.For == v.Job)
				shrunk += bit(v.Nodes > 0 && v.For != v.Job)
			}
		})
	}
	for range 2 { // a hundred stories show about eight of each
		rapid.Check(t, story)
	}
	if grown == 0 || shrunk == 0 {
		t.Fatalf("jobs were seen to grow %d times and to shrink %d times: that means nothing", grown, shrunk)
	}
	t.Logf("jobs grew %d times and shrank %d times", grown, shrunk)
}
