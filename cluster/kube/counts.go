package kube

import (
	"maps"
	"slices"
	"time"

	"ainexus.io/cluster/kube/v1alpha1"
	"ainexus.io/nexus"
)

// Tally is told of what happened to jobs, to count it. It must be quick and safe for concurrent use. What another
// controller wrote is not told.
type Tally interface {
	// Started is told of an attempt that got its seats after so long in line.
	Started(job nexus.Job, waited time.Duration)
	// Ended is told of an attempt that is over; charged are the restarts that the budget paid for.
	Ended(job nexus.Job, cause nexus.Cause, charged int)
}

// Counts is how many jobs there are in each phase.
func (p *Place) Counts() map[nexus.Phase]int {
	p.view.mu.Lock()
	defer p.view.mu.Unlock()
	counts := map[nexus.Phase]int{}
	for _, r := range p.view.jobs {
		if !isArray(&r.job) { // its members are counted
			counts[r.job.Phase]++
		}
	}
	return counts
}

// Live are the jobs that are not over, by id. Which devices of a node they hold is not known.
func (p *Place) Live() []nexus.Job {
	p.view.mu.Lock()
	defer p.view.mu.Unlock()
	var list []nexus.Job
	for _, id := range slices.Sorted(maps.Keys(p.view.jobs)) {
		if j := p.view.jobs[id].job; !j.Phase.Over() && !isArray(&j) {
			list = append(list, j)
		}
	}
	return list
}

// count tells what a status that was just written made of a job.
func (p *Place) count(was *nexus.Job, written *v1alpha1.NexusJob) {
	st := &written.Status
	phase := nexus.Phase(st.Phase)
	started := phase == nexus.Starting && st.Attempt > was.Attempt
	ended := was.Phase.Live() && !phase.Live() && st.Result != nil
	if p.opts.Tally == nil || !started && !ended {
		return
	}
	is, _ := jobAs(written, was.Spec, nil, true) // what is wrong with its spec does not matter here
	if started {
		p.opts.Tally.Started(is, is.Started.Sub(is.Submitted))
	} else {
		p.opts.Tally.Ended(is, is.Result.Cause, is.RestartsUsed-was.RestartsUsed)
	}
}
