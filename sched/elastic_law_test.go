package sched

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"ainexus.io/nexus"
)

// anyElastic is mostly gangs that may grow and shrink, small enough to meet.
func anyElastic(t *rapid.T, id string, at time.Time) nexus.Job {
	j := anyJob(t, id, at)
	if rapid.IntRange(0, 3).Draw(t, "as it is") == 0 && !j.Spec.Resources.GPUs.Auto {
		return j
	}
	s := &j.Spec
	j.Member = nil
	s.Priority = nexus.Priority(rapid.IntRange(-1, 1).Draw(t, "urgency"))
	s.Queue = rapid.SampledFrom([]string{"default", "a", "b"}).Draw(t, "line")
	s.Nodes = rapid.SampledFrom([]nexus.Range{{Min: 1, Max: 1}, {Min: 1, Max: 2}, {Min: 1, Max: 4}, {Min: 2, Max: 3}}).Draw(t, "size")
	s.Resources = nexus.Resources{GPUs: nexus.GPUCount{N: rapid.IntRange(0, 2).Draw(t, "devices")}}
	s.Workers = max(1, s.Resources.GPUs.N)
	s.Resources.CPU = nexus.CPU(500 * s.Workers)
	if s.Topology.Require == nexus.LevelIsland {
		s.Topology = nexus.Topology{}
	}
	s.Checkpoint = &nexus.CheckpointSpec{}
	if rapid.IntRange(0, 2).Draw(t, "saved before") > 0 {
		j.CheckpointAt = at
	}
	return j
}

// The laws hold where most jobs are elastic. Resizes that nobody more urgent asked for are no more than one in ten
// minutes of a job's attempts (I5), which every one of them is checked for; and there are such, and others.
func TestElasticLaws(t *testing.T) {
	grown, shrunk := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		life(t, anyElastic, func(w *world, before nexus.Snapshot, plan nexus.Plan) {
			w.keepsLaws(t, before, plan)
			for _, v := range plan.Evict {
				grown += bit(v.Nodes > 0 && v.For == v.Job)
				shrunk += bit(v.Nodes > 0 && v.For != v.Job)
			}
		})
	})
	if grown < 10 || shrunk < 10 {
		t.Fatalf("jobs were seen to grow %d times and to shrink %d times: too seldom to mean anything", grown, shrunk)
	}
	t.Logf("jobs grew %d times and shrank %d times", grown, shrunk)
}
