package collective

import "slices"

// circle is ranks that reduce among themselves over TCP: all ranks of the group, or the first ones of its hosts. Ring
// and tree are over places in the circle.
type circle struct {
	ranks      []int // in rising order
	place      int   // of this rank; -1 if it is not one of them
	next, prev *link // in the ring
	parent     *link // in the tree; nil at place 0
	children   []*link
}

func (c *circle) size() int { return len(c.ranks) }

// circleOf wires a circle; the links are there.
func (g *Group) circleOf(ranks []int) circle {
	c := circle{ranks: ranks, place: slices.Index(ranks, g.rank)}
	if n := len(ranks); c.place >= 0 && n > 1 {
		c.next, c.prev = g.linkTo(ranks[(c.place+1)%n]), g.linkTo(ranks[(c.place+n-1)%n])
		if c.place > 0 {
			c.parent = g.linkTo(ranks[parent(c.place)])
		}
		for _, child := range children(c.place, n) {
			c.children = append(c.children, g.linkTo(ranks[child]))
		}
	}
	return c
}

// peers returns the ranks that this one needs links to: its neighbours among all, and among the first of the hosts.
func peers(rank, size int, hosts [][]int) []int {
	list := neighbours(rank, size)
	heads := headsOf(hosts)
	if at := slices.Index(heads, rank); at >= 0 {
		for _, n := range neighbours(at, len(heads)) {
			list = append(list, heads[n])
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// headsOf returns the first rank of each host.
func headsOf(hosts [][]int) []int {
	heads := make([]int, len(hosts))
	for i, ranks := range hosts {
		heads[i] = ranks[0]
	}
	return heads
}
