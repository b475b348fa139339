package sched

import (
	"cmp"
	"slices"

	"ainexus.io/nexus"
	"ainexus.io/sched/ledger"
)

// hold tells everyone who is left why it waits, where that is news.
func (c *cycle) hold() []nexus.Hold {
	var news []nexus.Hold
	starts := map[*entry]claim{}
	for _, cl := range c.claims {
		starts[cl.entry] = cl
	}
	for _, e := range c.line {
		if !c.waits(e) {
			continue
		}
		r, known := c.reasons[e]
		if !known {
			r = c.shortfall(e)
			r.Until = starts[e].start
			c.tellNarrowed(e, &r)
		}
		if told, ok := c.told[e.job.ID]; !ok || told != r {
			c.told[e.job.ID] = r
			news = append(news, nexus.Hold{Job: e.job.ID, Reason: r})
		}
	}
	slices.SortFunc(news, func(a, b nexus.Hold) int { return cmp.Compare(a.Job, b.Job) })
	return news
}

// blockedByFleet finds what no waiting helps against: too small a fleet, nodes that are not Ready, devices
// that are not well.
func (c *cycle) blockedByFleet(e *entry) bool {
	r, known := c.fleet[e.whole]
	if !known {
		r = c.fleetReason(&e.job.Spec)
		c.fleet[e.whole] = r
	}
	if r.Code != "" {
		c.reasons[e] = r
	}
	return r.Code != ""
}

// fleetReason says why a job would not fit even if nothing ran; Code is empty if it would.
func (c *cycle) fleetReason(s *nexus.Spec) nexus.Reason {
	f := fleet{names: c.now.Names(), node: c.now.Node, room: &c.room}
	if r := f.shortfall(s, nexus.WaitUnfit, func(n *nexus.Node, r *ledger.Room) bool {
		ledger.Empty(n, true, r)
		return true
	}); r.Code != "" {
		return r
	}
	ready := func(n *nexus.Node, r *ledger.Room) bool {
		ledger.Empty(n, true, r)
		return n.State == nexus.Ready
	}
	if r := f.shortfall(s, nexus.WaitNodes, ready); r.Code != "" {
		need := int64(gang(s).Min)
		have := int64(f.count(s, ready))
		return nexus.Reason{Code: nexus.WaitNodes, Resource: "nodes", Need: need, Have: have, Node: f.missing(s)}
	}
	return f.shortfall(s, nexus.WaitDevice, func(n *nexus.Node, r *ledger.Room) bool {
		ledger.Empty(n, false, r)
		return n.State == nexus.Ready
	})
}

// shortfall says what is short now, for a job that would fit if nothing ran: capacity that others hold, or
// capacity that is free but kept for somebody ahead.
func (c *cycle) shortfall(e *entry) nexus.Reason {
	by := c.barredBy(e)
	if r, ok := c.short[e.shape]; ok && by == "" {
		return r
	}
	f := fleet{names: c.now.Names(), node: c.now.Node, room: &c.room}
	r := f.shortfall(&e.asked().Spec, nexus.WaitCapacity, func(n *nexus.Node, r *ledger.Room) bool {
		return n.State == nexus.Ready && c.now.Room(n.Name, r)
	})
	switch {
	case r.Code == "" && by != "":
		return nexus.Reason{Code: nexus.WaitBehind, Job: by}
	case r.Code == "":
		r = nexus.Reason{Code: nexus.WaitBehind, Job: c.inTheWay(e)}
	}
	c.short[e.shape] = r
	return r
}

// inTheWay is the first job ahead in line without whose claim, and those before it, the job would start.
func (c *cycle) inTheWay(e *entry) string {
	mark := c.later.Checkpoint()
	defer c.later.Rollback(mark)
	for _, cl := range c.claims[e.ahead:] {
		c.later.Release(cl.entry.job.ID)
	}
	for last, cl := range c.claims[:e.ahead] {
		c.later.Release(cl.entry.job.ID)
		fits := false
		c.without(func(i int, _ claim) bool { return i <= last || i >= e.ahead }, func() {
			fits = c.find(e.asked(), c.both) != nil
		})
		if fits {
			return cl.entry.job.ID
		}
	}
	if first := c.full[e.shape]; first != nil && first != e {
		return first.job.ID
	}
	return ""
}
