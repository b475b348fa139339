package sched

import (
	"cmp"
	"slices"

	"ainexus.io/nexus"
)

// offer is a seat that a node could give, and how much the job would like it: less is better.
type offer struct {
	seat nexus.Seat
	node *nexus.Node
	rank [3]int64
}

// find looks for a seat on each of as many distinct Ready nodes as the gang needs, and on more of them if
// it may have more; nil if they are not to be had.
func (c *cycle) find(j *nexus.Job, see look) []nexus.Seat {
	var offers []offer
	for _, name := range c.now.Names() {
		if c.now.Node(name).State != nexus.Ready || !see(name, &c.room) {
			continue
		}
		if o, ok := seatOn(&c.room, &j.Spec); ok {
			offers = append(offers, o)
		}
	}
	return choose(offers, j)
}

// choose picks the best offers for a gang and brings them into group rank order.
func choose(offers []offer, j *nexus.Job) []nexus.Seat {
	size := gang(&j.Spec)
	offers = nearest(offers, &j.Spec, size)
	if len(offers) < size.Min {
		return nil
	}
	slices.SortFunc(offers, func(a, b offer) int {
		return cmp.Or(slices.Compare(a.rank[:], b.rank[:]), cmp.Compare(a.node.Name, b.node.Name))
	})
	n := min(size.Max, len(offers))
	if n > 1 && j.Spec.Type == nexus.Training {
		offers = tightest(offers, n)
	}
	seats := make([]nexus.Seat, 0, n)
	for _, o := range offers[:n] {
		seats = append(seats, o.seat)
	}
	slices.SortFunc(seats, func(a, b nexus.Seat) int { return cmp.Compare(a.Node, b.Node) })
	return seats
}

// tightest keeps the offers of one rack if a rack has enough of them, else of one block, else all. Of
// several racks the one with the fewest offers wins, so that the others stay whole.
func tightest(offers []offer, n int) []offer {
	within := []func(*nexus.Node) string{
		func(node *nexus.Node) string { return node.Rack },
		func(node *nexus.Node) string { return node.Block },
	}
	for _, place := range within {
		groups, best := map[string][]offer{}, ""
		for _, o := range offers {
			if name := place(o.node); name != "" {
				groups[name] = append(groups[name], o)
			}
		}
		for name, group := range groups {
			if len(group) < n {
				continue
			}
			if best == "" || cmp.Or(cmp.Compare(len(group), len(groups[best])), cmp.Compare(name, best)) < 0 {
				best = name
			}
		}
		if best != "" {
			return groups[best]
		}
	}
	return offers
}
