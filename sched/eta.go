package sched

import (
	"time"

	"ainexus.io/nexus"
	"ainexus.io/sched/policy"
)

// ahead adds up, as the line is walked, what a job that has just come into it has to wait for.
type ahead struct {
	work   int64                 // GPU-seconds that those in line are expected to take, up to where it was walked
	within map[limit]int64       // the same of those whom a limit holds back
	heads  map[int]time.Duration // how long the first in line has waited, by GPUs asked for
}

// limit is of a queue, or of a user in it.
type limit struct{ queue, user string }

// count adds what a job is expected to take that was told why it waits.
func (a *ahead) count(r nexus.Reason, work int64) {
	switch {
	case r.Code.Limited():
		if a.within == nil {
			a.within = map[limit]int64{}
		}
		a.within[limit{r.Queue, r.User}] += work
	case r.Code.InLine():
		a.work += work
	}
}

// of is what stands before a job that was counted last: in the line of the fleet's GPUs, or of those that its limit lets it
// and its like have.
func (a *ahead) of(r nexus.Reason, gpus int) policy.Ahead {
	if !r.Code.Limited() {
		return policy.Ahead{Work: a.work, GPUs: gpus}
	}
	if most := int(r.Limit); r.Resource == resourceNames[ofGPUs] && most > 0 {
		gpus = min(gpus, most)
	}
	return policy.Ahead{Work: a.within[limit{r.Queue, r.User}], GPUs: gpus}
}

// foresee estimates the start of the job at a place in line, if it begins to wait for its turn with what it is told
// now: before is what it was told last. It is asked once in a wait, so that an estimate costs nothing while a line stands.
func (c *cycle) foresee(a *ahead, i int, before nexus.Reason) *nexus.Estimate {
	e := c.turns[i].entry
	if before.Code.InLine() || !e.told.Code.InLine() || !c.outlook.Taught() { // nothing is foreseen of nothing
		return nil
	}
	_, ready := c.countGPUs()
	there := a.of(e.told, ready)
	there.Head = c.headFor(a, i)
	start := c.outlook.Start(&e.job, there, c.at)
	return &start
}

// within is an estimate that is not later than a date.
func within(e *nexus.Estimate, date time.Time) *nexus.Estimate {
	if e == nil || date.IsZero() {
		return e
	}
	bound := *e
	for _, t := range []*time.Time{&bound.Low, &bound.Median, &bound.High} {
		if t.After(date) {
			*t = date
		}
	}
	return &bound
}

// headFor is how long the first in line of those who ask for as many GPUs as one at a place in it has waited.
func (c *cycle) headFor(a *ahead, i int) time.Duration {
	gpus := policy.GPUs(&c.turns[i].form.spec)
	waited, known := a.heads[gpus]
	if known {
		return waited
	}
	for k := range c.turns[:i+1] {
		if e := c.turns[k].entry; e.told.Code.InLine() && policy.GPUs(&c.turns[k].form.spec) == gpus {
			waited = policy.Waited(&e.job, c.at)
			break
		}
	}
	if a.heads == nil {
		a.heads = map[int]time.Duration{}
	}
	a.heads[gpus] = waited
	return waited
}

// countGPUs is how many GPUs the fleet has, and how many of them are of nodes that take jobs.
func (p *Planner) countGPUs() (all, ready int) {
	if p.gpusAt != p.facts {
		p.gpus, p.ready, p.gpusAt = 0, 0, p.facts
		for _, name := range p.now.Names() {
			n := p.now.Node(name)
			p.gpus += len(n.GPUs)
			if n.State == nexus.Ready {
				p.ready += len(n.GPUs)
			}
		}
	}
	return p.gpus, p.ready
}
