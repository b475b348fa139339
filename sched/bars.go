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
	// lost are the jobs that had seats kept for them and have no more.
	lost map[string]bool
	// again are those of them that got them back, which happens once.
	again map[string]bool
}

func newBars() bars {
	return bars{fresh: map[string]bool{}, from: map[string]string{}, calm: map[string]bool{}, lost: map[string]bool{}, again: map[string]bool{}}
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
		needed[cl.entry.job.ID] = cl.preempts
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
