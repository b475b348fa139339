package sched

import (
	"cmp"
	"slices"

	"ainexus.io/nexus"
	"ainexus.io/sched/policy"
)

// yield makes room for a job by jobs that leave, in two phases. First it looks at who is stopping already:
// for this job, or for nobody in particular. Where that is not enough it asks the fewest and cheapest jobs
// of strictly lower priority for their seats. Either way the seats are kept for the job: in `later` it has
// them from now on, and nobody behind it can take what becomes free.
func (c *cycle) yield(e *entry) bool {
	if c.isBarren(e) && c.stopping[e.job.ID] == nil {
		return false
	}
	soon, own := c.leavingFor(e)
	seats, victims := c.makeRoom(e, soon, c.victims)
	if seats == nil {
		c.setBarren(e)
		return false
	}
	c.evict(e, seats, victims, soon, own)
	return true
}

// leavingFor lists who is stopping for a job or for nobody in particular, and the former of these alone.
func (c *cycle) leavingFor(e *entry) (soon, own []*entry) {
	own = c.stopping[e.job.ID]
	return slices.DeleteFunc(slices.Concat(own, c.stopping[""]), func(v *entry) bool {
		return c.later.Held(v.job.ID) == nil // somebody ahead waits for it
	}), own
}

// evict asks victims for their seats and keeps these for the job.
func (c *cycle) evict(e *entry, seats []nexus.Seat, victims, soon, own []*entry) {
	c.ask(e, seats, victims, concerned(soon, own, seats), own)
}

// concerned leaves of those who go, in place, whom a job waits for that is to have seats: its own, and those on whose nodes these
// are.
func concerned(leave, own []*entry, seats []nexus.Seat) []*entry {
	return slices.DeleteFunc(leave, func(v *entry) bool { return !slices.Contains(own, v) && !meet(v.job.Placement.Seats, seats) })
}

// ask asks victims for their seats, takes back those who were only just placed, and keeps the seats for the job: it waits
// for all of the victims and of who stops soon, its own among them.
func (c *cycle) ask(e *entry, seats []nexus.Seat, victims, soon, own []*entry) {
	for _, v := range victims {
		if c.bars.fresh[v.job.ID] {
			c.undone[v.job.ID] = e.job.ID
			continue
		}
		c.evicted = append(c.evicted, nexus.Eviction{Job: v.job.ID, Attempt: v.job.Attempt, For: e.job.ID})
	}
	if forIt := slices.Concat(own, victims); len(forIt) > 0 {
		c.reasons[e] = nexus.Reason{Code: nexus.WaitPreempt, Job: sortedByID(forIt)[0].job.ID}
	}
	c.keep(claim{entry: e, seats: seats, preempts: len(c.kept[e.job.ID].Seats)+len(own)+len(victims) > 0}, slices.Concat(soon, victims)...)
}

// isBarren reports whether nobody could be evicted for a job like this one before. Where queues have quotas, these
// decide about victims too.
func (c *cycle) isBarren(e *entry) bool {
	if c.tree.plain {
		return c.in(e.as).barren.has(e.job.Spec.Priority)
	}
	return c.barren[hungry{e.as, e.job.Spec.Priority, e.queue}]
}

func (c *cycle) setBarren(e *entry) {
	if c.tree.plain {
		c.in(e.as).barren.add(e.job.Spec.Priority)
		return
	}
	c.barren[hungry{e.as, e.job.Spec.Priority, e.queue}] = true
}

// hungry is a form in a queue, with the priority that it may evict by.
type hungry struct {
	form     *form
	priority nexus.Priority
	queue    int
}

// meet reports whether two gangs have a node in common.
func meet(a, b []nexus.Seat) bool {
	return slices.ContainsFunc(a, func(x nexus.Seat) bool {
		return slices.ContainsFunc(b, func(y nexus.Seat) bool { return x.Node == y.Node })
	})
}

// makeRoom finds the seats that a job gets once those who stop are gone, and whom else it takes; both
// accounts are left as they were.
func (c *cycle) makeRoom(e *entry, soon []*entry, choose func(*entry) []*entry) (seats []nexus.Seat, victims []*entry) {
	now, later, size := c.now.Checkpoint(), c.later.Checkpoint(), len(c.apart.list)
	defer func() {
		c.now.Rollback(now)
		c.later.Rollback(later)
		c.apart.cut(size)
	}()
	gone := func(entries []*entry) {
		for _, v := range entries {
			c.gone(v)
		}
	}
	gone(soon)
	if len(soon) > 0 {
		if seats = c.find(e, c.both, &c.apart); seats != nil {
			return seats, nil
		}
	}
	if !c.bars.calm[e.job.ID] {
		victims = choose(e)
	}
	if victims == nil {
		return nil, nil
	}
	gone(victims)
	return c.find(e, c.both, &c.apart), victims
}

// anyBelow reports whether any live job has a lower priority.
func (c *cycle) anyBelow(p nexus.Priority) bool {
	for i := range p - nexus.Low {
		if c.ranks[i] > 0 {
			return true
		}
	}
	return false
}

// victims is the cheapest set of jobs that may be evicted for e and make room for it; nil if there is none.
func (c *cycle) victims(e *entry) []*entry {
	if !c.anyBelow(e.job.Spec.Priority) {
		return nil
	}
	cheapFirst := func(a, b *entry) int { return cmp.Or(c.compareRipe(a, b), policy.CompareVictims(&a.job, &b.job, c.at)) }
	return c.clear(e, clearing{
		soon: true,
		may:  func(v *entry) bool { return c.remains(v) && c.mayEvict(e, v) && c.exposed(e, v) },
		orders: []func(a, b *entry) int{cheapFirst, func(a, b *entry) int {
			return cmp.Or(cmp.Compare(a.job.Spec.Priority, b.job.Spec.Priority), cmp.Compare(size(b), size(a)), cheapFirst(a, b))
		}},
		compare: func(a, b []*entry) int {
			return cmp.Or(c.compareRipest(a, b), policy.PriceOf(c.running(a), c.at).Compare(policy.PriceOf(c.running(b), c.at)))
		},
	})
}

// size is how much a live job holds: GPUs first, then what it shares.
func size(e *entry) int64 {
	var n int64
	for _, s := range e.job.Placement.Seats {
		if s.Share > 0 {
			n += int64(s.Share)
			continue
		}
		n += int64(len(s.GPUs))<<32 + int64(s.CPU)
	}
	return n
}

// running are the jobs that really run: who was only just placed costs nothing.
func (c *cycle) running(entries []*entry) []*nexus.Job {
	var jobs []*nexus.Job
	for _, e := range entries {
		if !c.bars.fresh[e.job.ID] {
			jobs = append(jobs, &e.job)
		}
	}
	return jobs
}
