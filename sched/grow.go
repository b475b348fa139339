package sched

import (
	"cmp"
	"slices"

	"ainexus.io/nexus"
	"ainexus.io/sched/policy"
)

// grow gives elastic jobs what is idle, a node at a time to whoever is the most urgent and of these has the fewest, and
// reports whether there was any. It is asked last: when nobody who waits can be helped any more.
func (c *cycle) grow() bool {
	var list []*growing
	for id, e := range c.elastic {
		if c.settled(e) && c.stays[id] == nil && policy.Saves(&e.job) && !c.bars.calm[id] {
			list = append(list, &growing{entry: e})
		}
	}
	has := func(g *growing) int { return len(g.entry.job.Placement.Seats) + len(g.more) }
	turn := func(a, b *growing) int {
		x, y := &a.entry.job, &b.entry.job
		return cmp.Or(cmp.Compare(y.Spec.Priority, x.Spec.Priority), cmp.Compare(has(a), has(b)),
			x.Submitted.Compare(y.Submitted), cmp.Compare(x.ID, y.ID))
	}
	grown := false
	for len(list) > 0 {
		g := slices.MinFunc(list, turn)
		s, found := nexus.Seat{}, false
		if has(g) < gang(&g.entry.job.Spec).Max {
			s, found = c.seatBeside(g.entry, slices.Concat(g.entry.job.Placement.Seats, g.more))
		}
		ripe := c.boundsOf(g.entry).ResizableAt(&g.entry.job)
		if found && !ripe.After(c.at) {
			c.later.Release(comeback(g.entry.job.ID))
			g.more = append(g.more, s)
			c.keepComeback(g.entry.job.ID, g.more)
			c.countMore(g.entry, []nexus.Seat{s})
			continue
		}
		if found {
			c.wakeAt(ripe)
		}
		list = slices.DeleteFunc(list, func(o *growing) bool { return o == g })
		if len(g.more) > 0 {
			c.growTo(g)
			grown = true
		}
	}
	return grown
}

// growTo asks a job to stop in order to come back with more.
func (c *cycle) growTo(g *growing) {
	j := &g.entry.job
	seats := inOrder(slices.Concat(j.Placement.Seats, g.more))
	c.evicted = append(c.evicted, nexus.Eviction{Job: j.ID, Attempt: j.Attempt, For: j.ID, Nodes: len(seats)})
	c.kept[j.ID] = nexus.Reservation{Job: j.ID, Since: c.at, Seats: seats, Resize: true}
}

// inOrder brings seats into group rank order.
func inOrder(seats []nexus.Seat) []nexus.Seat {
	slices.SortFunc(seats, func(a, b nexus.Seat) int { return cmp.Compare(a.Node, b.Node) })
	return seats
}

// seatBeside is the best seat for one more node of a job: near those it has, where the job requires that or it can be
// had, and within what its queue may hold.
func (c *cycle) seatBeside(e *entry, has []nexus.Seat) (nexus.Seat, bool) {
	one := e.job.Spec
	one.Nodes = nexus.Range{Min: 1, Max: 1}
	t := c.index.table(shapeOf(&one), &one)
	home := c.now.Node(has[0].Node)
	if home == nil {
		return nexus.Seat{}, false
	}
	type beside struct {
		candidate
		far int
	}
	var list []beside
	for slot := range t.values {
		node := c.index.rooms[slot].Node
		if !t.values[slot].fits || hasNode(has, node.Name) {
			continue
		}
		if level := one.Topology.Require; spans(level) && place(node, level) != place(home, level) {
			continue
		}
		rank, ok := t.values[slot].rank, true
		if c.apart.has(slot) {
			if !c.both(node.Name, &c.room) {
				continue
			}
			rank, ok = c.index.picker.rate(&c.room, &one)
		}
		if ok {
			far := bit(place(node, nexus.LevelRack) != place(home, nexus.LevelRack)) + bit(place(node, nexus.LevelBlock) != place(home, nexus.LevelBlock))
			list = append(list, beside{candidate{slot, node, rank}, far})
		}
	}
	slices.SortFunc(list, func(a, b beside) int {
		return cmp.Or(cmp.Compare(a.far, b.far), slices.Compare(a.rank[:], b.rank[:]), cmp.Compare(a.slot, b.slot))
	})
	for _, o := range list {
		room := &c.index.rooms[o.slot]
		if c.apart.has(o.slot) {
			c.both(o.node.Name, &c.room)
			room = &c.room
		}
		made, ok := c.index.picker.seat(room, &one)
		if ok && c.mayHold(e, []nexus.Seat{made.seat}, true) {
			return made.seat, true
		}
	}
	return nexus.Seat{}, false
}
