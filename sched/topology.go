package sched

import (
	"cmp"
	"maps"
	"slices"

	"ainexus.io/nexus"
	"ainexus.io/sched/ledger"
)

// place names the rack or block that a node lies in. A node of which that is not known is one of its own: a job of one
// node fits there, a gang does not.
func place(n *nexus.Node, level nexus.Level) string {
	name := n.Rack
	if level == nexus.LevelBlock {
		name = n.Block
	}
	if name == "" {
		return "\x00" + n.Name
	}
	return name
}

// spans reports whether a level holds several nodes.
func spans(level nexus.Level) bool { return level == nexus.LevelRack || level == nexus.LevelBlock }

// nearest keeps the offers of the one rack or block that a job requires or prefers: of those with room, the one where
// the gang can be largest, then the one with the fewest offers, so that the others stay whole. Nil where one is
// required and none has room; all of them where nothing is asked, or what is preferred has no room. The offers keep
// their order.
func nearest(offers []candidate, s *nexus.Spec, size nexus.Range) []candidate {
	level, least := s.Topology.Require, size.Min
	if !spans(level) {
		level, least = s.Topology.Prefer, min(size.Max, len(offers))
	}
	if !spans(level) || len(offers) < size.Min {
		return offers
	}
	best := oneOf(offers, func(o candidate) string { return place(o.node, level) }, least, func(a, b []candidate) int {
		return cmp.Or(cmp.Compare(min(size.Max, len(b)), min(size.Max, len(a))), cmp.Compare(len(a), len(b)))
	})
	if best == nil && !spans(s.Topology.Require) {
		return offers
	}
	return best
}

// together keeps the proposals of the one rack or block that a job requires: of those that have enough, the one where
// the fewest have to leave. They are sorted, the best first, and stay so.
func (c *cycle) together(found []proposal, s *nexus.Spec) []proposal {
	level, need := s.Topology.Require, gang(s).Min
	if !spans(level) {
		return found
	}
	leaving := func(list []proposal) (n int) {
		for _, p := range list[:need] {
			n += len(p.leave)
		}
		return n
	}
	return oneOf(found, func(p proposal) string { return place(c.index.rooms[p.slot].Node, level) }, need, func(a, b []proposal) int {
		return cmp.Compare(leaving(a), leaving(b))
	})
}

// oneOf is the best group of those with at least so many in it; of equals the first by name.
func oneOf[T any](list []T, group func(T) string, least int, compare func(a, b []T) int) []T {
	groups := map[string][]T{}
	for _, one := range list {
		groups[group(one)] = append(groups[group(one)], one)
	}
	best := ""
	for _, name := range slices.Sorted(maps.Keys(groups)) {
		if len(groups[name]) >= least && (best == "" || compare(groups[name], groups[best]) < 0) {
			best = name
		}
	}
	return groups[best]
}

// onIsland keeps the free devices of the tightest island that has n of them, where the job requires or prefers one
// island. Required and not to be had, there are none.
func onIsland(r *ledger.Room, s *nexus.Spec, free []int, n int) []int {
	required := s.Topology.Require == nexus.LevelIsland
	if !required && s.Topology.Prefer != nexus.LevelIsland || n < 2 || len(free) < n {
		return free
	}
	island := tightestIsland(r.Node, free, n)
	if island == "" && !required {
		return free
	}
	on := free[:0]
	for _, i := range free {
		if island != "" && r.Node.GPUs[i].Island == island {
			on = append(on, i)
		}
	}
	return on
}

// closest is how many of the free devices a job could have: all, or those of the fullest island where it requires one.
func closest(r *ledger.Room, s *nexus.Spec, free []int) int {
	if s.Topology.Require != nexus.LevelIsland || s.Resources.GPUs.N < 2 {
		return len(free)
	}
	most := min(1, len(free))
	for _, i := range free {
		if island := r.Node.GPUs[i].Island; island != "" {
			most = max(most, countOn(r.Node, free, island))
		}
	}
	return most
}

// tally counts nodes that could take a job: all of them, or the most in one rack or block where it requires one.
type tally struct {
	level  nexus.Level
	groups map[string]int
	most   int
}

func tallyOf(s *nexus.Spec) *tally {
	return &tally{level: s.Topology.Require, groups: map[string]int{}}
}

func (t *tally) add(n *nexus.Node) {
	group := ""
	if spans(t.level) {
		group = place(n, t.level)
	}
	t.groups[group]++
	t.most = max(t.most, t.groups[group])
}
