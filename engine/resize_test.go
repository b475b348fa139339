package engine_test

import (
	"testing"
	"time"

	"ainexus.io/cluster/sim"
	"ainexus.io/nexus"
)

// An elastic job goes with what there is: it takes the node that becomes idle, gives one up for who is more urgent, and
// nothing of it is lost, charged or told as a preemption.
func TestAnElasticJobGrowsAndShrinks(t *testing.T) {
	s := sim.New(dawn)
	for _, name := range []string{"n1", "n2", "n3"} {
		s.SetNode(sim.Machine(name, 16, 64<<10, 4, "A100", 40<<10))
	}
	s.Submit(gpuJob("short", 1, 4, nexus.Normal), sim.Life{Runs: 5 * time.Minute})
	elastic := gpuJob("elastic", 1, 4, nexus.Normal)
	elastic.Nodes.Max, elastic.Checkpoint = 3, &nexus.CheckpointSpec{Path: "ckpt"}
	id := s.Submit(elastic, sim.Life{Runs: 2 * time.Hour, Save: time.Minute, Every: time.Minute})
	urgent := ""
	s.At(dawn.Add(40*time.Minute), func() { urgent = s.Submit(gpuJob("urgent", 1, 4, nexus.High), sim.Life{Runs: time.Hour}) })
	sizes := map[time.Duration]int{}
	for _, after := range []time.Duration{time.Minute, 30 * time.Minute, 45 * time.Minute} {
		s.At(dawn.Add(after), func() {
			if j, _ := s.Job(id); j.Placement != nil {
				sizes[after] = len(j.Placement.Seats)
			}
		})
	}
	run(t, s)
	if err := s.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if sizes[time.Minute] != 2 || sizes[30*time.Minute] != 3 || sizes[45*time.Minute] != 2 {
		t.Errorf("its nodes, by time: %v", sizes)
	}
	if j, _ := s.Job(urgent); j.Started.Sub(dawn) > 42*time.Minute {
		t.Errorf("who is more urgent started at %s", j.Started)
	}
	j, _ := s.Job(id)
	if j.Phase != nexus.Succeeded || j.Attempt < 3 || j.Preemptions != 0 || j.RestartsUsed != 0 || j.Finished.Sub(dawn) > 2*time.Hour+5*time.Minute {
		t.Errorf("it is %s at %s after %d attempts, %d preemptions and %d restarts", j.Phase, j.Finished, j.Attempt, j.Preemptions, j.RestartsUsed)
	}
	if v := s.Violations(); len(v) > 0 {
		t.Fatalf("promises broken: %v", v)
	}
}
