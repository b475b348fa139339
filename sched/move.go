package sched

import (
	"cmp"
	"time"

	"ainexus.io/nexus"
	"ainexus.io/sched/policy"
)

// move makes room for a job by jobs that fit elsewhere just as well: one or two, smaller than it, that have a
// checkpoint to go on from. It works as [cycle.yield] does; who is moved is placed again as soon as it has stopped. It is
// tried once, when a job finds no room at first: for a long line it would cost more than it brings. A policy without a budget
// of moves makes none, and what was moved is counted since the planner began.
func (c *cycle) move(e *entry) bool {
	if c.policy.Moves == 0 || c.history == nil || e.told.Code != "" || c.in(e.as).stuck || int64(c.moved+2)*1000 > c.history.Mix.Seen*int64(c.policy.Moves) {
		return false
	}
	soon, own := c.leavingFor(e)
	seats, victims := c.makeRoom(e, soon, c.movable)
	if seats == nil || !c.refit(e, seats, victims) {
		c.in(e.as).stuck = true
		return false
	}
	c.moved += len(victims)
	c.evict(e, seats, victims, soon, own)
	return true
}

const mostMoved = 2 // at a time

// movable is the cheapest set of jobs that may move and whose leaving makes room for e; nil if there is none.
func (c *cycle) movable(e *entry) []*entry {
	need := weight(&e.as.spec)
	smallFirst := func(a, b *entry) int {
		return cmp.Or(cmp.Compare(size(a), size(b)), policy.CompareVictims(&a.job, &b.job, c.at))
	}
	found := c.clear(e, clearing{
		soon: true,
		may: func(v *entry) bool {
			return c.remains(v) && c.exposed(e, v) && !v.job.CheckpointAt.IsZero() && gang(&v.job.Spec).Max == 1 && v.job.Spec.Priority == e.job.Spec.Priority &&
				weight(&v.job.Spec) < need && c.fitsElsewhere(v)
		},
		orders: []func(a, b *entry) int{smallFirst, func(a, b *entry) int { return smallFirst(b, a) }},
		compare: func(a, b []*entry) int {
			var x, y int64
			for _, v := range a {
				x += size(v)
			}
			for _, v := range b {
				y += size(v)
			}
			return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(x, y))
		},
	})
	if len(found) > mostMoved {
		return nil
	}
	return found
}

// weight is how much of a node's devices a job asks for, in MiB of shares or whole devices.
func weight(s *nexus.Spec) int64 {
	if s.Resources.Share() {
		return int64(s.Resources.GPUMemory)
	}
	return int64(s.Resources.GPUs.N) << 32
}

// fitsElsewhere reports whether a job that runs on one node has room on another now.
func (c *cycle) fitsElsewhere(v *entry) bool {
	slot, ok := c.now.Slot(v.job.Placement.Seats[0].Node)
	if !ok {
		return false
	}
	t := c.index.table(v.form.shape, &v.form.spec)
	size := len(c.apart.list)
	c.apart.add(slot)
	best := t.best(&c.apart)
	c.apart.cut(size)
	return best >= 0 && t.values[best].fits
}

// refit reports whether all who are moved find seats again once e has its own.
func (c *cycle) refit(e *entry, seats []nexus.Seat, victims []*entry) bool {
	now, later, size := c.now.Checkpoint(), c.later.Checkpoint(), len(c.apart.list)
	defer func() {
		c.now.Rollback(now)
		c.later.Rollback(later)
		c.apart.cut(size)
	}()
	book := func(id string, seats []nexus.Seat) {
		c.now.Charge(id, seats)
		c.later.Charge(id, seats)
		c.setApart(seats)
	}
	for _, v := range victims {
		c.now.Release(v.job.ID)
		c.later.Release(v.job.ID)
		c.setApart(v.job.Placement.Seats)
	}
	book(e.job.ID, seats)
	for _, v := range victims {
		again := c.find(v, c.both, &c.apart)
		if again == nil {
			return false
		}
		book(v.job.ID, again)
	}
	return true
}

// thrift reports whether a share had better wait for a hole than open an idle device, as the policy sees it; who has
// waited a day does not wait on.
func (c *cycle) thrift(e *entry, seats []nexus.Seat) bool {
	if !c.policy.Thrift || len(seats) != 1 || seats[0].Share == 0 || c.at.Sub(e.job.Submitted) > 24*time.Hour {
		return false
	}
	slot, ok := c.now.Slot(seats[0].Node)
	return ok && c.index.waits(slot, &e.as.spec)
}
