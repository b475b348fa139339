package sched

import (
	"cmp"
	"fmt"
	"slices"

	"ainexus.io/nexus"
	"ainexus.io/sched/ledger"
)

// The taste of the four types: training likes the least utilised devices of the tightest island, inference
// the most free memory, preprocessing and evaluation what is left over. Between devices that are equal in
// this, the one with fewer jobs on it wins, then the lower index.

// pickWhole picks n of the free devices, ascending by index, and says why these.
func pickWhole(r *ledger.Room, s *nexus.Spec, free []int, n int) ([]int, string) {
	node, left := r.Node, perIsland(r.Node, free)
	from, island := free, ""
	if s.Type == nexus.Training && len(left) > 1 {
		island = tightestIsland(node, free, left, n)
		if island != "" {
			from = slices.DeleteFunc(slices.Clone(free), func(i int) bool { return node.GPUs[i].Island != island })
		}
	}
	preferred := func(i int) int { return bit(!slices.Contains(s.PreferGPUs, node.GPUs[i].Index)) }
	wished := 0
	for _, i := range free {
		wished += 1 - preferred(i)
	}
	if wished > 0 {
		from = free // a wish beats the taste
	}
	picked := slices.Clone(from)
	slices.SortStableFunc(picked, func(a, b int) int {
		d, e := &node.GPUs[a], &node.GPUs[b]
		var taste int
		switch s.Type {
		case nexus.Inference:
			taste = cmp.Or(cmp.Compare(r.GPUs[b].Share, r.GPUs[a].Share), cmp.Compare(d.Util, e.Util))
		case nexus.Preprocessing, nexus.Evaluation:
			taste = cmp.Compare(left[d.Island], left[e.Island])
		default:
			taste = cmp.Compare(d.Util, e.Util)
		}
		return cmp.Or(cmp.Compare(preferred(a), preferred(b)), taste, cmp.Compare(d.Index, e.Index))
	})
	picked = picked[:n]
	because := becauseWhole(r, s, picked, free, island)
	if wished > 0 {
		because = "preferred"
		if wished < n {
			because = fmt.Sprintf("%d of %d preferred, the rest %s", wished, n, tasteOf(s.Type))
		}
	}
	slices.SortFunc(picked, func(a, b int) int { return cmp.Compare(node.GPUs[a].Index, node.GPUs[b].Index) })
	return picked, because
}

// becauseWhole is the clause for whole devices.
func becauseWhole(r *ledger.Room, s *nexus.Spec, picked, free []int, island string) string {
	switch {
	case len(picked) == len(free) && len(free) == len(r.Node.GPUs):
		return "all GPUs of the node"
	case len(picked) == len(free) && len(free) == 1:
		return "the only free GPU that suits"
	case len(picked) == len(free):
		return fmt.Sprintf("the only %d free GPUs that suit", len(free))
	}
	busiest, least := 0, r.GPUs[picked[0]].Share
	for _, i := range picked {
		busiest, least = max(busiest, r.Node.GPUs[i].Util), min(least, r.GPUs[i].Share)
	}
	switch s.Type {
	case nexus.Inference:
		return fmt.Sprintf("most free memory (%s)", least)
	case nexus.Preprocessing, nexus.Evaluation:
		return "leftovers"
	}
	if island != "" {
		return fmt.Sprintf("tightest island %s, least utilised there (%d %%)", island, busiest*10)
	}
	return fmt.Sprintf("least utilised (%d %%)", busiest*10)
}

func tasteOf(t nexus.Type) string {
	switch t {
	case nexus.Inference:
		return "with most free memory"
	case nexus.Preprocessing, nexus.Evaluation:
		return "leftovers"
	}
	return "least utilised"
}

// perIsland counts the free devices of each island.
func perIsland(n *nexus.Node, free []int) map[string]int {
	left := map[string]int{}
	for _, i := range free {
		left[n.GPUs[i].Island]++
	}
	return left
}

// tightestIsland is the island with the fewest free devices that still has n; "" if none has.
func tightestIsland(node *nexus.Node, free []int, left map[string]int, n int) string {
	best := ""
	for _, i := range free {
		island := node.GPUs[i].Island
		if island == "" || left[island] < n {
			continue
		}
		if best == "" || left[island] < left[best] {
			best = island
		}
	}
	return best
}

// pickShare picks the device for a share and says why.
func pickShare(r *ledger.Room, s *nexus.Spec, fit []int) (int, string) {
	node := r.Node
	best := slices.MinFunc(fit, func(a, b int) int {
		d, e, f, g := &node.GPUs[a], &node.GPUs[b], &r.GPUs[a], &r.GPUs[b]
		var taste int
		switch s.Type {
		case nexus.Inference:
			taste = cmp.Compare(g.Share, f.Share)
		case nexus.Preprocessing, nexus.Evaluation:
			taste = cmp.Compare(f.Share, g.Share)
		default:
			taste = cmp.Or(cmp.Compare(d.Util, e.Util), cmp.Compare(g.Share, f.Share))
		}
		wish := cmp.Compare(bit(slices.Contains(s.PreferGPUs, e.Index)), bit(slices.Contains(s.PreferGPUs, d.Index)))
		return cmp.Or(wish, taste, cmp.Compare(f.Jobs, g.Jobs), cmp.Compare(d.Index, e.Index))
	})
	switch {
	case slices.Contains(s.PreferGPUs, node.GPUs[best].Index):
		return best, "preferred"
	case len(fit) == 1:
		return best, "the only GPU with that much free memory"
	case s.Type == nexus.Inference:
		return best, fmt.Sprintf("most free memory (%s)", r.GPUs[best].Share)
	case s.Type == nexus.Preprocessing || s.Type == nexus.Evaluation:
		return best, fmt.Sprintf("fullest GPU with room (%s free)", r.GPUs[best].Share)
	}
	return best, fmt.Sprintf("least utilised (%d %%)", node.GPUs[best].Util*10)
}

// rankWhole is how much a type likes a node for n whole devices, before [weigh]: full nodes are filled up
// first, so that large gangs find whole ones; inference spreads.
func rankWhole(r *ledger.Room, t nexus.Type, n int) [3]int64 {
	left := -n
	for i := range r.GPUs {
		left += bit(r.GPUs[i].Whole)
	}
	if t == nexus.Inference {
		return [3]int64{0, int64(r.Jobs), int64(-left)}
	}
	return [3]int64{0, int64(left), int64(r.Jobs)}
}

// weigh adds up what a type looks at first in the devices it would get.
func weigh(r *ledger.Room, t nexus.Type, picked []int) int64 {
	var sum int64
	for _, i := range picked {
		switch t {
		case nexus.Training:
			sum += int64(r.Node.GPUs[i].Util)
		case nexus.Inference:
			sum -= int64(r.GPUs[i].Share)
		}
	}
	return sum
}

func rankShare(r *ledger.Room, t nexus.Type, i int) [3]int64 {
	g, jobs := &r.GPUs[i], int64(r.Jobs)
	switch t {
	case nexus.Inference:
		return [3]int64{-int64(g.Share), jobs}
	case nexus.Preprocessing, nexus.Evaluation:
		return [3]int64{int64(g.Share), -jobs}
	}
	return [3]int64{int64(r.Node.GPUs[i].Util), -int64(g.Share), jobs}
}
