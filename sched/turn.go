package sched

import (
	"cmp"

	"ainexus.io/nexus"
	"ainexus.io/sched/policy"
)

// turn makes room for a job by its equals, in queues that slice time: those who have run long make way for who has run
// little. It works as [cycle.yield] does, reserve first and then evict, and like there the fewest leave. That two
// jobs do not evict one another in turn is the policy's doing ([policy.MayTurn]).
func (c *cycle) turn(e *entry) bool {
	f := c.in(e.as)
	if !c.slicing(e.queue) || f.tired && e.job.Served == 0 {
		return false
	}
	if rested := policy.RestedAt(&e.job); rested.After(c.at) {
		c.wakeAt(rested)
		return false
	}
	soon, own := c.leavingFor(e)
	if len(own) == 0 && f.worn.covers(&e.job, len(c.lifted)) {
		return false
	}
	seats, victims := c.makeRoom(e, soon, c.equals)
	if seats == nil {
		c.nextTurn(e)
		f.tired = f.tired || e.job.Served == 0
		if victims == nil && !c.bars.calm[e.job.ID] && c.barredBy(e) == "" {
			f.worn.note(&e.job, len(c.lifted))
		}
		return false
	}
	c.evict(e, seats, victims, soon, own)
	return true
}

// worn is, by priority, who has run least of those that found no equals to take a turn from: whoever has run longer may ask
// only some of the same ([policy.MayTurn]). It holds until somebody more is waited for, which makes other room.
type worn [4]struct {
	ran    nexus.Duration
	lifted int // 1 + how many jobs had been lifted; 0: nobody was tried
}

func (w *worn) at(j *nexus.Job) int { return int(j.Spec.Priority - nexus.Low) }

func (w *worn) covers(j *nexus.Job, lifted int) bool {
	who := &w[w.at(j)]
	return who.lifted == lifted+1 && j.Served >= who.ran
}

func (w *worn) note(j *nexus.Job, lifted int) {
	who := &w[w.at(j)]
	if who.lifted != lifted+1 || j.Served < who.ran {
		who.ran, who.lifted = j.Served, lifted+1
	}
}

// slicing reports whether a queue slices time.
func (c *cycle) slicing(queue int) bool {
	return c.policy.Slicing || queue >= 0 && c.tree.queues[queue].TimeSlicing
}

// equals is the cheapest set of equals whose turn is over and that make room for e; nil if there is none.
func (c *cycle) equals(e *entry) []*entry {
	turns := func(a, b *entry) int { return policy.CompareTurns(&a.job, &b.job, c.at) }
	ran := policy.Ran(&e.job, c.at)
	return c.clear(e, clearing{
		soon:  true,
		among: c.elders,
		may: func(v *entry) bool { // [policy.MayTurn]
			return v.job.Spec.Priority == e.job.Spec.Priority && policy.Outran(policy.Ran(&v.job, c.at), ran) && c.remains(v) && c.exposed(e, v)
		},
		orders: []func(a, b *entry) int{turns, func(a, b *entry) int {
			return cmp.Or(cmp.Compare(size(b), size(a)), turns(a, b))
		}},
		compare: func(a, b []*entry) int {
			return policy.TurnOf(c.running(a), 0, c.at).Compare(policy.TurnOf(c.running(b), 0, c.at))
		},
	})
}

// elders lists who of a node has had its turn. It is looked up once a cycle, in which nobody joins them.
func (c *cycle) elders(slot int) []*entry {
	if c.hadTurn == nil {
		c.hadTurn = make([][]*entry, len(c.index.rooms))
		for slot := range c.index.rooms {
			for _, v := range c.live[c.index.rooms[slot].Node.Name] {
				if policy.HadTurn(&v.job, c.at) && c.slicing(v.queue) {
					c.hadTurn[slot] = append(c.hadTurn[slot], v)
				}
			}
		}
	}
	return c.hadTurn[slot]
}

// nextTurn wakes the planner when the next turn of somebody is over. One look a cycle is enough: it is the same for all
// who have not run yet.
func (c *cycle) nextTurn(e *entry) {
	if c.turnsSeen {
		return
	}
	c.turnsSeen = true
	for _, on := range c.live {
		for _, v := range on {
			at, ripe := policy.TurnAt(&e.job, &v.job, c.at), c.boundsOf(v).RipeAt(&v.job)
			if ripe.After(at) && !at.IsZero() {
				at = ripe
			}
			if c.slicing(v.queue) && at.After(c.at) {
				c.wakeAt(at)
			}
		}
	}
}

// remains reports whether a live job is neither on its way out nor waited for, and nothing about it is undecided.
func (c *cycle) remains(v *entry) bool {
	_, undecided := c.taken[v.job.ID]
	undecided = undecided && !c.bars.fresh[v.job.ID]
	leaves := v.job.Phase == nexus.Stopping || c.later.Held(v.job.ID) == nil // or somebody ahead waits for it
	return !undecided && !leaves && c.stays[v.job.ID] == nil
}

// anySlicing reports whether any queue slices time.
func (c *cycle) anySlicing() bool { return c.policy.Slicing || c.tree.slicing }
