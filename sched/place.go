package sched

import (
	"slices"
	"time"

	"ainexus.io/nexus"
)

// place starts a job if all its seats are free and kept for nobody ahead of it. A job that is known to
// end before the claims ahead of it begin may use what they keep.
func (c *cycle) place(e *entry) bool {
	e.ahead = len(c.claims)
	f := c.in(e.as)
	switch {
	case f.saved:
		c.reasons[e] = nexus.Reason{Code: nexus.WaitThrift}
		return true
	case f.full != nil || c.barredBy(e) != "":
		return false
	}
	seats := c.findNow(e)
	if seats == nil {
		seats = c.findInGap(e)
	}
	if seats == nil {
		f.full = e
		return false
	}
	if c.thrift(e, seats) {
		f.saved, c.reasons[e] = true, nexus.Reason{Code: nexus.WaitThrift}
		return true
	}
	c.start(e, seats)
	return true
}

// start gives a job its seats.
func (c *cycle) start(e *entry, seats []nexus.Seat) {
	placement := nexus.Placement{Job: e.job.ID, Attempt: e.job.Attempt + 1, Seats: seats}
	after := e.job
	after.Phase, after.Attempt, after.Placement, after.Started = nexus.Starting, placement.Attempt, &placement, c.at
	after.NotBefore, after.Stop, after.StopFor = time.Time{}, "", ""
	c.placed = append(c.placed, placement)
	c.take(e, after).told = nexus.Reason{}
	c.placedToo(e.job.ID)
	c.bars.fresh[e.job.ID] = true
}

// findInGap looks for seats among those that are kept for claims with a date, for a job that will be gone
// by then.
func (c *cycle) findInGap(e *entry) []nexus.Seat {
	if len(c.claims) == 0 {
		return nil
	}
	end, likely := c.endOf(&e.job, c.at), c.likelyEnd(&e.job, c.at)
	gap := func(_ int, cl claim) bool { return cl.beginsAfter(end, likely) }
	if !slices.ContainsFunc(c.claims, func(cl claim) bool { return gap(0, cl) }) {
		return nil
	}
	mark := c.later.Checkpoint()
	defer c.later.Rollback(mark)
	for _, cl := range c.claims {
		if gap(0, cl) {
			c.later.Release(cl.entry.job.ID)
		}
	}
	var seats []nexus.Seat
	c.without(gap, func() { seats = c.findNow(e) })
	return seats
}
