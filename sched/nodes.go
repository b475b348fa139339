package sched

import (
	"cmp"
	"slices"

	"ainexus.io/nexus"
)

// candidate is a node with a seat for a job.
type candidate struct {
	slot int
	node *nexus.Node
	rank rank
}

// find looks for a seat on each of as many distinct Ready nodes as the gang needs, and on more of them if
// it may have more; nil if they are not to be had. See is how to look at the nodes in apart; all others are
// as `now` has them.
func (c *cycle) find(e *entry, see look, apart *slots) []nexus.Seat {
	return c.seek(e, see, apart, false)
}

// findNow looks for seats that are free now and kept for nobody: only nodes with a seat by `now` alone can have one.
func (c *cycle) findNow(e *entry) []nexus.Seat { return c.seek(e, c.both, &c.apart, true) }

func (c *cycle) seek(e *entry, see look, apart *slots, now bool) []nexus.Seat {
	t := c.index.table(e.as.shape, &e.as.spec)
	spec := &e.as.spec
	size := gang(spec)
	if now && t.fit < size.Min {
		return nil
	}
	var found []candidate
	offer := func(slot int) {
		if now && !t.values[slot].fits {
			return
		}
		node := c.index.rooms[slot].Node
		if node.State != nexus.Ready || !see(node.Name, &c.room) {
			return
		}
		if rank, ok := c.index.picker.rate(&c.room, spec); ok {
			found = append(found, candidate{slot, node, rank})
		}
	}
	for _, slot := range apart.list {
		offer(slot)
	}
	if len(found)+t.fit < size.Min { // more than enough: those apart are counted twice
		return nil
	}
	if size.Max == 1 {
		if slot := t.best(apart); slot >= 0 && t.values[slot].fits {
			found = append(found, candidate{slot, c.index.rooms[slot].Node, t.values[slot].rank})
		}
	} else {
		for slot := range t.values {
			if t.values[slot].fits && !apart.has(slot) {
				found = append(found, candidate{slot, c.index.rooms[slot].Node, t.values[slot].rank})
			}
		}
	}
	chosen := choose(found, spec)
	if chosen == nil {
		return nil
	}
	seats := make([]nexus.Seat, 0, len(chosen))
	for _, o := range chosen {
		room := &c.index.rooms[o.slot]
		if apart.has(o.slot) {
			see(o.node.Name, &c.room)
			room = &c.room
		}
		made, _ := c.index.picker.seat(room, spec)
		seats = append(seats, made.seat)
	}
	return seats
}

// choose picks the best of the candidates for a gang and brings them into group rank order.
func choose(found []candidate, s *nexus.Spec) []candidate {
	size := gang(s)
	if len(found) < size.Min {
		return nil
	}
	better := func(a, b candidate) int {
		return cmp.Or(slices.Compare(a.rank[:], b.rank[:]), cmp.Compare(a.slot, b.slot))
	}
	if size.Max == 1 {
		return []candidate{slices.MinFunc(found, better)}
	}
	slices.SortFunc(found, better)
	if found = nearest(found, s, size); len(found) < size.Min {
		return nil
	}
	n := min(size.Max, len(found))
	if n > 1 && s.Type == nexus.Training {
		found = tightest(found, n)
	}
	found = found[:n]
	slices.SortFunc(found, func(a, b candidate) int { return cmp.Compare(a.slot, b.slot) })
	return found
}

// tightest keeps the candidates of one rack if a rack has enough of them, else of one block, else all. Of
// several racks the one with the fewest candidates wins, so that the others stay whole.
func tightest(found []candidate, n int) []candidate {
	within := []func(*nexus.Node) string{
		func(node *nexus.Node) string { return node.Rack },
		func(node *nexus.Node) string { return node.Block },
	}
	for _, place := range within {
		sizes, best := map[string]int{}, ""
		for _, o := range found {
			if name := place(o.node); name != "" {
				sizes[name]++
			}
		}
		for name, size := range sizes {
			if size < n {
				continue
			}
			if best == "" || cmp.Or(cmp.Compare(size, sizes[best]), cmp.Compare(name, best)) < 0 {
				best = name
			}
		}
		if best != "" {
			return slices.DeleteFunc(found, func(o candidate) bool { return place(o.node) != best })
		}
	}
	return found
}

// sameHardware reports whether a node has what it had.
func sameHardware(a, b *nexus.Node) bool {
	return a.CPU == b.CPU && a.Memory == b.Memory && slices.EqualFunc(a.GPUs, b.GPUs, func(d, e nexus.GPU) bool {
		return d.Model == e.Model && d.Memory == e.Memory && d.Reserve == e.Reserve
	})
}

// sameMachine reports whether a node is what it was, however busy it is.
func sameMachine(a, b *nexus.Node) bool {
	return a.State == b.State && a.Rack == b.Rack && a.Block == b.Block && a.CPU == b.CPU && a.Memory == b.Memory &&
		slices.EqualFunc(a.GPUs, b.GPUs, func(d, e nexus.GPU) bool {
			d.Util, d.Free, d.Foreign, d.Taken = e.Util, e.Free, e.Foreign, e.Taken
			return d == e
		})
}
