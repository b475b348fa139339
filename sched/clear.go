package sched

import (
	"cmp"
	"maps"
	"slices"

	"ainexus.io/nexus"
)

// clearing is a search for live jobs whose leaving would let another start.
type clearing struct {
	soon    bool                           // in what is free now as well as in `later`; else in `later` alone
	may     func(*entry) bool              // who may be asked
	among   func(slot int) []*entry        // who of a node there is to look at; nil: all who live there
	orders  []func(a, b *entry) int        // in which they are tried; each gives one proposal per node
	compare func(proposal, b []*entry) int // negative: the better proposal
}

// proposal is who would have to leave so that a seat is free on a node.
type proposal struct {
	ok    bool // else nobody's leaving helps
	slot  int
	leave []*entry
}

// clear finds who has to leave so that the whole gang fits; nil if nobody's leaving helps. No one is in
// the answer whose staying would do no harm. The accounts are left as they were.
func (c *cycle) clear(e *entry, cl clearing) []*entry {
	need, better := gang(&e.asked().Spec).Min, func(a, b *proposal) int {
		return cmp.Or(bit(b.ok)-bit(a.ok), cmp.Compare(bit(len(a.leave) > 0), bit(len(b.leave) > 0)),
			cl.compare(a.leave, b.leave), cmp.Compare(a.slot, b.slot))
	}
	most := need
	if spans(e.as.spec.Topology.Require) {
		most = 0 // the best may be apart from one another
	}
	found := c.proposals(e, cl, better, most)
	if len(found) < need {
		return nil
	}
	if need == 1 {
		return slices.MinFunc(found, func(a, b proposal) int { return better(&a, &b) }).leave
	}
	slices.SortFunc(found, func(a, b proposal) int { return better(&a, &b) })
	if found = c.together(found, &e.as.spec); len(found) < need {
		return nil
	}
	all := map[string]*entry{}
	for _, p := range found[:need] {
		for _, v := range p.leave {
			all[v.job.ID] = v
		}
	}
	return c.spareGang(e, slices.SortedFunc(maps.Values(all), cl.orders[0]), cl)
}

// proposals asks every node, or at least those that matter where only so many of the best do; 0: all do.
func (c *cycle) proposals(e *entry, cl clearing, better func(a, b *proposal) int, most int) (found []proposal) {
	t := c.index.table(e.as.shape, &e.as.spec)
	ask := func(slot int) proposal {
		if c.index.rooms[slot].Node.State != nexus.Ready {
			return proposal{}
		}
		leave, ok := c.clearNode(slot, t, cl)
		return proposal{ok, slot, leave}
	}
	tell := func(p proposal) {
		if p.ok {
			found = append(found, p)
		}
	}
	if cl.soon {
		for slot := range c.index.rooms {
			tell(ask(slot))
		}
		return found
	}
	// What a claim waits for is remembered with the table, but for nodes that are not in `later` as they are now, and
	// for those whom somebody is leaving: he may change his mind about when without anything else changing.
	c.unsure.cut(0)
	c.unsure.addAll(c.apart.list)
	for _, v := range c.leaving {
		for i := range v.job.Placement.Seats {
			if slot, ok := c.now.Slot(v.job.Placement.Seats[i].Node); ok {
				c.unsure.add(slot)
			}
		}
	}
	known := t.clears(c.index, better)
	known.look(&c.unsure, ask)
	for _, slot := range c.unsure.list {
		tell(ask(slot))
	}
	if most > 0 {
		for range most {
			slot := known.best(&c.unsure)
			if slot < 0 || !known.values[slot].ok {
				break
			}
			tell(known.values[slot])
			c.unsure.add(slot)
		}
		return found
	}
	for slot := range known.values {
		if !c.unsure.has(slot) {
			tell(known.values[slot])
		}
	}
	return found
}

// clearNode makes the best proposal for one node.
func (c *cycle) clearNode(slot int, t *table, cl clearing) (best []*entry, ok bool) {
	name, spec := c.index.rooms[slot].Node.Name, &t.spec
	c.tried = c.tried[:0]
	try := func(e *entry) {
		if cl.may(e) {
			c.tried = append(c.tried, onNode{e, seatAt(&e.job, name)})
		}
	}
	if cl.among != nil {
		for _, e := range cl.among(slot) {
			try(e)
		}
	} else {
		for _, e := range c.live[name] {
			try(e)
		}
	}
	if cl.soon && c.tooFew(slot, spec) {
		return nil, false
	}
	if len(c.tried) == 0 && !c.apart.has(slot) {
		return nil, t.values[slot].fits // as things are
	}
	sheets := c.sheets(name, cl.soon)
	for _, v := range c.tried {
		sheets.give(v.seat)
	}
	if !sheets.fit(spec) {
		return nil, false
	}
	for i, order := range cl.orders {
		slices.SortFunc(c.tried, func(a, b onNode) int { return order(a.entry, b.entry) })
		var leave []*entry // the last in order stay first, as long as the job fits
		for _, v := range slices.Backward(c.tried) {
			if sheets.take(v.seat); !sheets.fit(spec) {
				sheets.give(v.seat)
				leave = append(leave, v.entry)
			}
		}
		slices.Reverse(leave)
		if i == 0 || cl.compare(leave, best) < 0 {
			best = leave
		}
		for _, v := range c.tried {
			if i+1 < len(cl.orders) && !slices.Contains(leave, v.entry) {
				sheets.give(v.seat)
			}
		}
	}
	return best, true
}

// tooFew reports whether a node has not as many GPUs as a job wants, idle now and with those that are tried together. It saves
// the trouble of trying them.
func (c *cycle) tooFew(slot int, s *nexus.Spec) bool {
	if s.Resources.GPUs.Auto {
		return false
	}
	n := idleIn(&c.index.rooms[slot])
	for i := range c.tried {
		n += len(c.tried[i].seat.GPUs)
	}
	return n < s.Resources.GPUs.N
}

// onNode is a live job and what it holds on the node at hand.
type onNode struct {
	entry *entry
	seat  *nexus.Seat
}

func seatAt(j *nexus.Job, node string) *nexus.Seat {
	seats := j.Placement.Seats
	return &seats[slices.IndexFunc(seats, func(s nexus.Seat) bool { return s.Node == node })]
}

// sheets are copies of one node's accounts, to try out who has to leave it.
type sheets struct {
	c    *cycle
	name string
	soon bool
}

func (c *cycle) sheets(name string, soon bool) sheets {
	c.later.Copy(name, &c.laterSheet)
	if soon {
		c.now.Copy(name, &c.nowSheet)
	}
	return sheets{c, name, soon}
}

func (s sheets) give(seat *nexus.Seat) {
	s.c.laterSheet.Give(seat)
	if s.soon {
		s.c.nowSheet.Give(seat)
	}
}

func (s sheets) take(seat *nexus.Seat) {
	s.c.laterSheet.Take(seat)
	if s.soon {
		s.c.nowSheet.Take(seat)
	}
}

func (s sheets) fit(spec *nexus.Spec) bool {
	c := s.c
	c.laterSheet.Room(&c.room)
	if s.soon {
		c.nowSheet.Room(&c.other)
		c.room.Narrow(&c.other)
		c.owed[s.name].subtract(&c.room)
	}
	_, ok := c.index.picker.rate(&c.room, spec)
	return ok
}

// spareGang lets stay whoever can of those who would have to leave several nodes, the last in order first. The accounts
// are left as they were.
func (c *cycle) spareGang(e *entry, all []*entry, cl clearing) (leave []*entry) {
	see := c.later.Room
	if cl.soon {
		see = c.both
	}
	now, later, size := c.now.Checkpoint(), c.later.Checkpoint(), len(c.apart.list)
	defer func() {
		c.now.Rollback(now)
		c.later.Rollback(later)
		c.apart.cut(size)
	}()
	release := func(v *entry) {
		c.later.Release(v.job.ID)
		if cl.soon {
			c.now.Release(v.job.ID)
		}
	}
	for _, v := range all {
		release(v)
		c.setApart(v.job.Placement.Seats)
	}
	for _, v := range slices.Backward(all) {
		c.later.Charge(v.job.ID, v.job.Placement.Seats)
		if cl.soon {
			c.now.Charge(v.job.ID, v.job.Placement.Seats)
		}
		if c.find(e, see, &c.apart) == nil {
			release(v)
			leave = append(leave, v)
		}
	}
	slices.Reverse(leave)
	return leave
}
