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

// picker picks devices on one node. It keeps its memory from one pick to the next.
type picker struct {
	worth // what the nodes stay worth

	free   []int // positions of the devices that would do, ascending
	picked []int // of these, ascending by index once chosen
	island string
	wished int // how many of the free ones were wished for
}

// whole picks n whole devices; false if the node does not have so many.
func (p *picker) whole(r *ledger.Room, s *nexus.Spec, n int) bool {
	p.free = onIsland(r, s, p.wholeGPUs(p.free[:0], r, &s.Resources), n)
	if len(p.free) < n {
		return false
	}
	node := r.Node
	p.island, p.wished = "", 0
	if s.Type == nexus.Training {
		if p.island = tightestIsland(node, p.free, n); countOn(node, p.free, p.island) == len(p.free) {
			p.island = ""
		}
	}
	for _, i := range p.free {
		p.wished += bit(slices.Contains(s.PreferGPUs, node.GPUs[i].Index))
	}
	p.picked = p.picked[:0]
	for _, i := range p.free {
		if p.wished > 0 || p.island == "" || node.GPUs[i].Island == p.island { // a wish beats the taste
			p.picked = append(p.picked, i)
		}
	}
	slices.SortStableFunc(p.picked, func(a, b int) int {
		d, e := &node.GPUs[a], &node.GPUs[b]
		if p.wished > 0 {
			wish := cmp.Compare(bit(slices.Contains(s.PreferGPUs, e.Index)), bit(slices.Contains(s.PreferGPUs, d.Index)))
			if wish != 0 {
				return wish
			}
		}
		var taste int
		switch s.Type {
		case nexus.Inference:
			taste = cmp.Or(cmp.Compare(r.GPUs[b].Share, r.GPUs[a].Share), cmp.Compare(d.Util, e.Util))
		case nexus.Preprocessing, nexus.Evaluation:
			taste = cmp.Compare(countOn(node, p.free, d.Island), countOn(node, p.free, e.Island))
		default:
			taste = cmp.Compare(d.Util, e.Util)
		}
		return cmp.Or(taste, cmp.Compare(d.Index, e.Index))
	})
	p.picked = p.picked[:n]
	slices.SortFunc(p.picked, func(a, b int) int { return cmp.Compare(node.GPUs[a].Index, node.GPUs[b].Index) })
	return true
}

// because is the clause for whole devices.
func (p *picker) because(r *ledger.Room, s *nexus.Spec) string {
	n := len(p.picked)
	switch {
	case p.wished >= n && n > 0:
		return "preferred"
	case p.wished > 0:
		return fmt.Sprintf("%d of %d preferred, the rest %s", p.wished, n, tasteOf(s.Type))
	case n == len(p.free) && n == len(r.Node.GPUs):
		return "all GPUs of the node"
	case n == len(p.free) && n == 1:
		return "the only free GPU that suits"
	case n == len(p.free):
		return fmt.Sprintf("the only %d free GPUs that suit", n)
	}
	busiest, least := 0, r.GPUs[p.picked[0]].Share
	for _, i := range p.picked {
		busiest, least = max(busiest, r.Node.GPUs[i].Util), min(least, r.GPUs[i].Share)
	}
	switch s.Type {
	case nexus.Inference:
		return fmt.Sprintf("most free memory (%s)", least)
	case nexus.Preprocessing, nexus.Evaluation:
		return "leftovers"
	}
	if p.island != "" {
		return fmt.Sprintf("tightest island %s, least utilised there (%d %%)", p.island, busiest*10)
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

// countOn counts the free devices of an island.
func countOn(n *nexus.Node, free []int, island string) int {
	count := 0
	for _, i := range free {
		count += bit(n.GPUs[i].Island == island)
	}
	return count
}

// tightestIsland is the island with the fewest free devices that still has n; "" if none has.
func tightestIsland(node *nexus.Node, free []int, n int) string {
	best, fewest := "", 0
	for _, i := range free {
		island := node.GPUs[i].Island
		if island == "" || island == best {
			continue
		}
		left := countOn(node, free, island)
		if left >= n && (best == "" || left < fewest) {
			best, fewest = island, left
		}
	}
	return best
}

// share picks the device for a share; false if none has room.
func (p *picker) share(r *ledger.Room, s *nexus.Spec) (best int, ok bool) {
	want := s.Resources.GPUMemory
	p.free = p.free[:0]
	for i := range r.GPUs {
		if r.GPUs[i].Share >= want && p.suit(&r.Node.GPUs[i], s.Resources.GPUModel) && r.Node.GPUs[i].MIG == s.Resources.MIG {
			p.free = append(p.free, i)
		}
	}
	if len(p.free) == 0 {
		return 0, false
	}
	node := r.Node
	best = slices.MinFunc(p.free, func(a, b int) int {
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
	if p.scores(s) && !slices.Contains(s.PreferGPUs, node.GPUs[best].Index) {
		var device int
		if p.score, device = p.scoreOf(r, s); device >= 0 && (s.Type != nexus.Training || node.GPUs[device].Util <= node.GPUs[best].Util) {
			best = device
		}
	}
	return best, true
}

// becauseShare is the clause for a share.
func (p *picker) becauseShare(r *ledger.Room, s *nexus.Spec, best int) string {
	switch {
	case slices.Contains(s.PreferGPUs, r.Node.GPUs[best].Index):
		return "preferred"
	case len(p.free) == 1:
		return "the only GPU with that much free memory"
	case s.Type == nexus.Inference:
		return fmt.Sprintf("most free memory (%s)", r.GPUs[best].Share)
	case s.Type == nexus.Preprocessing || s.Type == nexus.Evaluation:
		return fmt.Sprintf("fullest GPU with room (%s free)", r.GPUs[best].Share)
	}
	if p.scores(s) {
		return fmt.Sprintf("fits best (%s free, %d %% utilised)", r.GPUs[best].Share, r.Node.GPUs[best].Util*10)
	}
	return fmt.Sprintf("least utilised (%d %%)", r.Node.GPUs[best].Util*10)
}

// rankWhole is how much a type likes a node for the whole devices that were picked: full nodes are filled up
// first, so that large gangs find whole ones; inference spreads.
func (p *picker) rankWhole(r *ledger.Room, s *nexus.Spec) rank {
	left := -len(p.picked)
	for i := range r.GPUs {
		left += bit(r.GPUs[i].Whole)
	}
	if s.Type == nexus.Inference {
		var memory int64
		for _, i := range p.picked {
			memory += int64(r.GPUs[i].Share)
		}
		return rank{-memory, int64(r.Jobs), int64(-left)}
	}
	var util int64
	if s.Type == nexus.Training {
		for _, i := range p.picked {
			util += int64(r.Node.GPUs[i].Util)
		}
	}
	if p.scores(s) {
		score, _ := p.scoreOf(r, s)
		return rank{util, -score}
	}
	return rank{util, int64(left), int64(r.Jobs)}
}

func (p *picker) rankShare(r *ledger.Room, s *nexus.Spec, i int) rank {
	g, jobs := &r.GPUs[i], int64(r.Jobs)
	switch {
	case p.scores(s) && s.Type == nexus.Training:
		return rank{int64(r.Node.GPUs[i].Util), -p.score}
	case p.scores(s):
		return rank{-p.score}
	}
	switch s.Type {
	case nexus.Inference:
		return rank{-int64(g.Share), jobs}
	case nexus.Preprocessing, nexus.Evaluation:
		return rank{int64(g.Share), -jobs}
	}
	return rank{int64(r.Node.GPUs[i].Util), -int64(g.Share), jobs}
}
