package local

import (
	"fmt"
	"slices"

	"ainexus.io/attempt"
	"ainexus.io/cluster/local/store"
	"ainexus.io/nexus"
	"ainexus.io/sched"
)

// grow puts a job that ran out of memory back in line with a larger request, as its file allows, and says so; ok is
// false where it is over instead, and text says why. The step is charged to the budget.
func grow(r *store.Record, result *nexus.Result, held nexus.Placement, node nexus.Node) (text string, ok bool) {
	job, restart := &r.Job, r.Job.Spec.Restart
	if restart.Grow == 0 || !slices.Contains(restart.On, nexus.CauseOOM) {
		return result.Message, false
	}
	if job.RestartsUsed >= restart.Max {
		return result.Message + "; no restart is left", false
	}
	from, most := ranOutOf(*job, result, held, node)
	switch {
	case from == 0:
		return result.Message + "; how much it had is not known, so it cannot be grown: say resources." + string(result.OutOf), false
	case from >= most:
		return fmt.Sprintf("%s; it had %s of %s, and there is no more to be had here", result.Message, from, result.OutOf), false
	}
	g := nexus.Growth{}
	if job.Growth != nil {
		g = *job.Growth
	}
	g.OutOf, g.From, g.To = result.OutOf, from, min(most, restart.Grow.Times(from))
	if result.OutOf == nexus.OutOfGPUMemory {
		g.GPUMemory = g.To
	} else {
		g.Memory = g.To
	}
	grown := *job
	grown.Growth = &g
	if refusal := sched.Check([]nexus.Node{node}, grown.Asks().Spec); refusal != nil {
		return fmt.Sprintf("%s; with %s of %s it would never start: %s", result.Message, g.To, g.OutOf, refusal.Message), false
	}
	job.Phase, job.Growth = nexus.Pending, &g
	job.RestartsUsed++
	result.Charged++
	r.Losses = 0
	return fmt.Sprintf("back in line: %s; %s", result.Message, g.Sentence()), true
}

// ranOutOf is how much an attempt had of what it ran out of, and the most that this machine could ever give.
func ranOutOf(job nexus.Job, result *nexus.Result, held nexus.Placement, node nexus.Node) (from, most nexus.MiB) {
	asks := job.Asks().Spec.Resources
	if result.OutOf == nexus.OutOfMemory {
		if from = asks.Memory; from == 0 {
			from = result.PeakMemory // nothing held it but the machine
		}
		return from, node.Memory
	}
	for _, d := range node.GPUs {
		if asks.Share() {
			most = max(most, d.Usable())
		} else {
			most = max(most, d.Memory)
		}
	}
	if asks.Share() {
		return asks.GPUMemory, most
	}
	for _, seat := range held.Seats {
		for _, g := range seat.GPUs {
			for _, d := range node.GPUs {
				if d.UUID == g.UUID && d.Index == g.Index && (from == 0 || d.Memory < from) {
					from = d.Memory
				}
			}
		}
	}
	return from, most
}

// peak remembers the most GPU memory that each attempt was seen to use of one device.
func (p *Place) peak(used map[string]map[string]nexus.MiB) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, devices := range used {
		for _, m := range devices {
			p.peaks[name] = max(p.peaks[name], m)
		}
	}
}

// takePeak gives what was seen of an attempt that is over, and forgets it.
func (p *Place) takePeak(id string, n int) nexus.MiB {
	p.mu.Lock()
	defer p.mu.Unlock()
	name := attempt.Name(id, n)
	m := p.peaks[name]
	delete(p.peaks, name)
	return m
}
