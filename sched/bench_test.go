package sched

import (
	"fmt"
	"testing"
	"time"

	"ainexus.io/nexus"
	"ainexus.io/sched/policy"
)

// fleetFor is a busy fleet with a queue: so many nodes of 8 GPUs, all taken, and so many jobs that wait.
func fleetFor(nodes, waiting int) nexus.Snapshot {
	s := nexus.Snapshot{At: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	for i := range nodes {
		n := nexus.Node{Name: fmt.Sprintf("node-%04d", i), State: nexus.Ready, CPU: 64000, Memory: 512 << 10}
		for g := range 8 {
			n.GPUs = append(n.GPUs, nexus.GPU{Index: g, UUID: fmt.Sprintf("%s-%d", n.Name, g), Model: "H100", Memory: 80 << 10, Free: -1})
		}
		s.Nodes = append(s.Nodes, n)
	}
	for i := range nodes*4 + waiting {
		s.Jobs = append(s.Jobs, nexus.Job{
			ID: fmt.Sprintf("job-%06d", i), Phase: nexus.Pending, Submitted: s.At.Add(time.Duration(i-1e6) * time.Millisecond),
			Spec: nexus.Spec{
				Type: nexus.Types()[i%4], Nodes: nexus.Range{Min: 1, Max: 1}, Workers: 2,
				Resources: nexus.Resources{GPUs: nexus.GPUCount{N: 2}, CPU: 2000, Memory: nexus.MiB(8<<10 + i%7)},
			},
		})
	}
	return s
}

// BenchmarkStep is one cycle after one job ended: by nodes and by jobs that wait.
func BenchmarkStep(b *testing.B) {
	for _, size := range [][2]int{{1, 1000}, {1, 10000}, {125, 1000}, {1000, 1000}} {
		b.Run(fmt.Sprintf("nodes=%d/waiting=%d", size[0], size[1]), func(b *testing.B) {
			s := fleetFor(size[0], size[1])
			p := New(policy.Default())
			running := map[string]nexus.Job{}
			answer := func(plan nexus.Plan) (d nexus.Delta) {
				for _, placed := range plan.Place {
					j := p.jobs[placed.Job].job
					j.Phase = nexus.Running
					running[j.ID] = j
					d.Jobs = append(d.Jobs, j)
				}
				return d
			}
			delta := answer(p.Step(everything(s), s.At))
			next := len(s.Jobs)
			b.ResetTimer()
			for b.Loop() {
				for id, j := range running { // one ends, another is submitted
					delete(running, id)
					delta.GoneJobs = append(delta.GoneJobs, id)
					next++
					j.ID, j.Phase, j.Placement, j.Submitted = fmt.Sprintf("job-%06d", next), nexus.Pending, nil, s.At
					delta.Jobs = append(delta.Jobs, j)
					break
				}
				delta = answer(p.Step(delta, s.At))
			}
		})
	}
}

// BenchmarkBurst is a fresh planner that is told everything at once.
func BenchmarkBurst(b *testing.B) {
	for _, size := range [][2]int{{1, 1000}, {1000, 4000}} {
		b.Run(fmt.Sprintf("nodes=%d/waiting=%d", size[0], size[1]), func(b *testing.B) {
			s := fleetFor(size[0], size[1])
			for b.Loop() {
				Plan(s, policy.Default())
			}
		})
	}
}
