package sched

import (
	"ainexus.io/nexus"
	"ainexus.io/sched/policy"
)

// QueueStates tells how each queue of a snapshot stands, with all that is below it, by name.
func QueueStates(s nexus.Snapshot) []nexus.QueueState {
	p := New(policy.Default())
	p.observe(everything(s), s.At)
	p.tree.plain = false // what nobody limits is shown too
	p.plantAs(p.tree)
	states := make([]nexus.QueueState, len(p.tree.queues))
	for i, b := range p.tree.queues {
		states[i].Queue = b.Queue
		for m, model := range p.tree.models {
			row := nexus.QueueRow{GPUModel: model}
			held, quota := p.held.of(i)[m*resources:], b.quota[m*resources:]
			row.GPUs, row.GPUMemory, row.CPU = int(held[ofGPUs]), nexus.MiB(held[ofShares]), nexus.CPU(held[ofCPU])
			if q := quota[ofGPUs]; q != unlimited {
				n := int(q)
				row.Quota, row.Borrowed = &n, max(0, row.GPUs-n)
			}
			states[i].Rows = append(states[i].Rows, row)
		}
	}
	for _, e := range p.jobs {
		for i := e.queue; i >= 0; i = p.tree.queues[i].parent {
			if e.job.Phase == nexus.Pending {
				states[i].Pending++
			} else {
				states[i].Running++
			}
		}
	}
	return states
}
