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
	starts, ahead := map[*entry]claim{}, ahead{}
	for _, cl := range c.claims {
		starts[cl.entry] = cl
	}
	for i := range c.turns {
		s := &c.turns[i]
		f := c.in(s.form)
		later, yields := c.yields[s.entry]
		shared := s.plain && s.alone != c.number && !f.odd && !yields
		if shared && f.short != nil && s.told == f.short || c.policy.Strict && c.stuck != nil && s.entry.told == (nexus.Reason{Code: nexus.WaitBehind, Job: c.stuck.job.ID}) {
			ahead.work += s.work
			continue
		}
		e := s.entry
		r, known := c.reasons[e]
		if !known && c.policy.Strict && e != c.stuck {
			r, known = nexus.Reason{Code: nexus.WaitBehind, Job: c.stuck.job.ID}, true
		}
		if !known {
			r = c.shortfall(e)
			if cl := starts[e]; !cl.start.IsZero() && later.at.IsZero() && c.settledInLine(e) { // else others may come ahead of it, and the date is no promise
				r.Until = cl.start
			}
			c.tellNarrowed(e, &r)
		}
		c.tellYielding(e, &r)
		if s.told = nil; shared && !known {
			s.told = f.short
		}
		ahead.count(r, s.work)
		if before := e.told; before != r {
			e.told = r
			news = append(news, nexus.Hold{Job: e.job.ID, Reason: r, Start: c.foresee(&ahead, i, before), Place: i + 1})
		}
	}
	slices.SortFunc(news, func(a, b nexus.Hold) int { return cmp.Compare(a.Job, b.Job) })
	return news
}

// blockedByFleet finds what no waiting helps against: too small a fleet, nodes that are not Ready, devices
// that are not well.
func (c *cycle) blockedByFleet(e *entry) bool {
	if f := e.form; f.fleetAt == c.facts && f.fleet.Code == "" {
		return false // as nearly always
	}
	r := c.fleetOf(e.form)
	if r.Code != "" {
		c.reasons[e] = r
	}
	return r.Code != ""
}

// fleetOf is the fleet's reason for a form; it stands until the nodes are others.
func (c *cycle) fleetOf(f *form) nexus.Reason {
	if f.fleetAt != c.facts {
		f.fleet, f.fleetAt = c.fleetReason(&f.spec), c.facts
	}
	return f.fleet
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
		have := int64(f.count(s, int(need), ready))
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
	f, by := c.in(e.as), c.barredBy(e)
	if f.short != nil && by == "" {
		return *f.short
	}
	r := c.shortOf(f)
	switch {
	case r.Code == "" && by != "":
		return nexus.Reason{Code: nexus.WaitBehind, Job: by}
	case r.Code == "":
		r = nexus.Reason{Code: nexus.WaitBehind, Job: c.inTheWay(e)}
	}
	if f.said == nil || *f.said != r {
		f.said = &r
	}
	f.short = f.said
	return r
}

// shortOf is what is short of what a form asks for; Code is empty if nothing is.
func (c *cycle) shortOf(f *form) nexus.Reason {
	if f.spec.Topology.Require == "" {
		return c.index.shortfall(c.index.table(f.shape, &f.spec), gang(&f.spec).Min, nexus.WaitCapacity)
	}
	all := fleet{names: c.now.Names(), node: c.now.Node, room: &c.room}
	return all.shortfall(&f.spec, nexus.WaitCapacity, func(n *nexus.Node, r *ledger.Room) bool {
		return n.State == nexus.Ready && c.now.Room(n.Name, r)
	})
}

// inTheWay is the first job ahead in line without whose claim, and those before it, the job would start.
func (c *cycle) inTheWay(e *entry) string {
	mark := c.later.Checkpoint()
	defer c.later.Rollback(mark)
	for _, r := range c.back {
		if c.jobs[r.Job].job.Spec.Priority < e.job.Spec.Priority {
			c.later.Release(comeback(r.Job))
		}
	}
	for _, cl := range c.claims[e.ahead:] {
		c.later.Release(cl.entry.job.ID)
	}
	single := gang(&e.as.spec).Min == 1 && e.as.spec.Topology == (nexus.Topology{})
	for last, cl := range c.claims[:e.ahead] {
		c.later.Release(cl.entry.job.ID)
		fits := false
		if single {
			fits = c.makesWay(e, last)
		} else {
			c.without(func(i int, _ claim) bool { return i <= last || i >= e.ahead }, func() {
				fits = c.findNow(e) != nil
			})
		}
		if fits {
			return cl.entry.job.ID
		}
	}
	for _, r := range c.back {
		c.later.Release(comeback(r.Job))
		fits := false
		c.without(func(int, claim) bool { return true }, func() { fits = c.find(e, c.both, &c.apart) != nil })
		if fits {
			return r.Job
		}
	}
	if first := c.in(e.as).full; first != nil && first != e {
		return first.job.ID
	}
	return ""
}

// makesWay reports whether a job of one node has a seat, were there neither a claim, which has left `later`, nor those before it.
// Of all but the first it is known that without those before it there was none, so only the nodes of the claim are looked at.
func (c *cycle) makesWay(e *entry, claim int) bool {
	t := c.index.table(e.as.shape, &e.as.spec)
	if claim > 0 {
		for node := range c.claims[claim].owes {
			if slot, ok := c.now.Slot(node); ok && c.seatWithout(e, t, slot, claim) {
				return true
			}
		}
		return false
	}
	if slot := t.best(&c.apart); slot >= 0 && t.values[slot].fits {
		return true
	}
	return slices.ContainsFunc(c.apart.list, func(slot int) bool { return c.seatWithout(e, t, slot, claim) })
}

// seatWithout reports whether a node would then have the seat. What is owed there is added up only if it could.
func (c *cycle) seatWithout(e *entry, t *table, slot, claim int) bool {
	node := c.index.rooms[slot].Node.Name
	if !t.values[slot].fits || !c.now.Room(node, &c.room) || !c.later.Room(node, &c.other) {
		return false
	}
	c.room.Narrow(&c.other)
	if _, fits := c.index.picker.rate(&c.room, &e.as.spec); !fits {
		return false
	}
	owed := debt{}
	for _, cl := range c.claims[claim+1 : e.ahead] {
		owed = owed.worst(cl.owes[node])
	}
	owed.subtract(&c.room)
	_, fits := c.index.picker.rate(&c.room, &e.as.spec)
	return fits
}
