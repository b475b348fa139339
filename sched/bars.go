package sched

import (
	"slices"

	"ainexus.io/nexus"
)

// bars is what one step has tried and taken back, and does not try again.
type bars struct {
	// fresh are the jobs placed by this step: nothing has happened to them yet, so they can be taken back.
	fresh map[string]bool
	// from are the jobs that may not start, by id, with whom they would be in the way of.
	from map[string]string
	// calm are the jobs that may not evict: they turned out not to need it.
	calm map[string]bool
	// lost counts how often a job lost the seats that were kept for it. Once may be the work of an order that has
	// changed since; who loses them again and again gets no others.
	lost map[string]int
	// lifted says that those who may not start were given a second chance.
	lifted bool
}

const mostLosses = 2

// unlucky reports whether a job gets no seats kept for it in this step.
func (b *bars) unlucky(id string) bool { return b.lost[id] > mostLosses }

func newBars() *bars {
	return &bars{fresh: map[string]bool{}, from: map[string]string{}, calm: map[string]bool{}, lost: map[string]int{}}
}

// lift gives everybody who may not start a second chance, once, and reports whether there was anybody: for whom they
// made way may by now wait for other seats.
func (b *bars) lift() bool {
	if b.lifted || len(b.from) == 0 {
		return false
	}
	b.lifted = true
	clear(b.from)
	return true
}

// barredBy is the waiting job in whose way e would be if it started; empty if there is none (any more).
func (c *cycle) barredBy(e *entry) string {
	by := c.bars.from[e.job.ID]
	if w := c.jobs[by]; w == nil || !c.waits(w) {
		return ""
	}
	return by
}

// undo takes back placements of this step that are in the way of somebody more urgent.
func (c *cycle) undo(plan *nexus.Plan) {
	for id, by := range c.undone {
		plan.Place = slices.DeleteFunc(plan.Place, func(p nexus.Placement) bool { return p.Job == id })
		delete(c.bars.fresh, id)
		c.bars.from[id] = by
		c.Drop(id)
	}
}

// undoVain takes back evictions for jobs that have no seats kept after all, and reports whether there were
// any.
func (c *cycle) undoVain(plan *nexus.Plan) bool {
	needed := map[string]bool{}
	for _, cl := range c.claims {
		id := cl.entry.job.ID
		needed[id] = cl.preempts && !c.bars.unlucky(id)
	}
	for _, r := range c.back {
		needed[r.Job] = len(r.Seats) > len(c.jobs[r.Job].job.Placement.Seats)
	}
	found := false
	plan.Evict = slices.DeleteFunc(plan.Evict, func(v nexus.Eviction) bool {
		if needed[v.For] {
			return false
		}
		found, c.bars.calm[v.For] = true, true
		c.vain = append(c.vain, v.Job)
		return true
	})
	return found
}
