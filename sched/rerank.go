package sched

import (
	"slices"
	"time"

	"ainexus.io/nexus"
	"ainexus.io/sched/ledger"
)

// rerank chooses anew who runs, where the policy is one that does: in the order of the rank whoever runs keeps his
// seats and whoever waits takes some, as if nobody of a lower rank were there. Who is then in the way is asked for his.
// A waiting job takes what is free before it takes what is not. Policies to compare with work so; ours moves far
// fewer.
func (p *Planner) rerank() (evict []nexus.Eviction) {
	if !p.policy.Rerank {
		return nil
	}
	p.index.sync()
	r := reranking{Planner: p, ranked: p.inRank(), full: map[*form]bool{}}
	r.stand()
	winner := ""
	for i, e := range r.ranked {
		switch {
		case !p.competes(e):
		case e.job.Placement == nil:
			if r.seat(e, i) && winner == "" {
				winner = e.job.ID
			}
		case r.stays(e):
		default:
			evict = append(evict, nexus.Eviction{Job: e.job.ID, Attempt: e.job.Attempt, For: winner})
		}
	}
	for _, v := range evict {
		after := p.jobs[v.Job].job
		after.Phase, after.Stop, after.StopFor = nexus.Stopping, nexus.StopPreempt, v.For
		p.take(p.jobs[v.Job], after)
	}
	return evict
}

// competes reports whether a job takes part: it runs, or could if there were room.
func (p *Planner) competes(e *entry) bool {
	if e.job.Phase == nexus.Pending {
		return !e.job.NotBefore.After(p.at) && (alone(&e.job) || p.waitsFor(&e.job).Code == "")
	}
	return e.job.Phase == nexus.Running
}

// reranking is such a choice under way. On each node, best has who was chosen so far; all has those and who runs and was not
// passed over yet.
type reranking struct {
	*Planner
	ranked []*entry
	full   map[*form]bool
	apart  slots // the nodes on which all is not as the ledger has it
	room   ledger.Room
}

// stays keeps a running job where it is, if nobody of a higher rank is there. Where nobody was given anything it does, as all
// who run there fit beside one another.
func (r *reranking) stays(e *entry) bool {
	fits := true
	for i, slot := range r.slotsOf(e) {
		if slot >= 0 && r.standings.at[slot].crowded {
			r.standings.at[slot].best.Room(&r.room)
			fits = fits && r.room.Takes(e.job.Placement.Seats[i])
		}
	}
	for i, slot := range e.slots {
		if slot < 0 {
			continue
		}
		s := &e.job.Placement.Seats[i]
		if !fits {
			r.open(slot).Give(s)
			continue
		}
		n := &r.standings.at[slot]
		n.idle -= len(s.GPUs)
		if n.known {
			n.best.Take(s)
		}
	}
	e.passed = !fits
	return fits
}

// seat gives the waiting job of a rank seats: free ones, else those of who ranks lower. It reports whether somebody has to go.
func (r *reranking) seat(e *entry, rank int) bool {
	if r.full[e.form] {
		return false
	}
	chosen, displaces := r.lookFree(e.form), false
	if chosen == nil {
		chosen, displaces = r.lookBest(e.form, rank), true
	}
	if chosen == nil {
		r.full[e.form] = true
		return false
	}
	for _, o := range chosen {
		best := r.bestOn(o.slot, rank)
		if all := r.open(o.slot); displaces {
			best.Room(&r.room)
		} else {
			all.Room(&r.room)
		}
		made, _ := r.index.picker.seat(&r.room, &e.form.spec)
		best.Take(&made.seat)
		r.open(o.slot).Take(&made.seat)
		n := &r.standings.at[o.slot]
		if n.crowded = true; made.seat.Share == 0 {
			n.idle -= len(made.seat.GPUs)
		}
	}
	return displaces
}

// lookFree looks for seats in what is free: the index knows it, but for the nodes apart.
func (r *reranking) lookFree(f *form) []candidate {
	t := r.index.table(f.shape, &f.spec)
	var found []candidate
	for _, slot := range r.apart.list {
		found = r.offer(found, f, slot, &r.standings.at[slot].all)
	}
	if len(found)+t.fit < gang(&f.spec).Min {
		return nil
	}
	if gang(&f.spec).Max == 1 {
		if slot := t.best(&r.apart); slot >= 0 && t.values[slot].fits {
			found = append(found, candidate{slot, r.index.rooms[slot].Node, t.values[slot].rank})
		}
		return choose(found, &f.spec)
	}
	for slot := range t.values {
		if t.values[slot].fits && !r.apart.has(slot) {
			found = append(found, candidate{slot, r.index.rooms[slot].Node, t.values[slot].rank})
		}
	}
	return choose(found, &f.spec)
}

// lookBest looks for seats in what those of a higher rank leave.
func (r *reranking) lookBest(f *form, rank int) []candidate {
	var found []candidate
	for slot := range r.standings.at {
		if gpus := &f.spec.Resources.GPUs; gpus.Auto || gpus.N <= r.standings.at[slot].idle {
			found = r.offer(found, f, slot, r.bestOn(slot, rank))
		}
	}
	return choose(found, &f.spec)
}

func (r *reranking) offer(found []candidate, f *form, slot int, s *ledger.Sheet) []candidate {
	node := r.index.rooms[slot].Node
	if node.State != nexus.Ready {
		return found
	}
	s.Room(&r.room)
	if rank, ok := r.index.picker.rate(&r.room, &f.spec); ok {
		found = append(found, candidate{slot, node, rank})
	}
	return found
}

// crossing is when the rank of a running job changes by itself, or wake if that is earlier.
func (p *Planner) crossing(wake time.Time) time.Time {
	if !p.policy.Rerank || !p.policy.Rank.Crosses() {
		return wake
	}
	for _, list := range [][]*entry{p.standings.ranked, p.standings.comers} {
		for _, e := range list {
			if e.gone {
				continue
			}
			if at := p.policy.Rank.Crossing(&e.job, p.at); !at.IsZero() && (wake.IsZero() || at.Before(wake)) {
				wake = at
			}
		}
	}
	return wake
}

// inRank is all jobs, the first in rank first. What they were before is nearly right, so only those out of their place are
// sorted, and merged into the rest.
func (p *Planner) inRank() []*entry {
	k := &p.standings
	old, apart := k.ranked, k.comers
	k.ranked = k.ranked[:0]
	apart = slices.DeleteFunc(apart, func(e *entry) bool { return e.gone })
	for _, e := range apart {
		e.key = p.rankOf(e)
	}
	for _, e := range old {
		if e.gone {
			continue
		}
		e.key = p.rankOf(e)
		last := len(k.ranked) - 1
		if last >= 0 && compareRanked(k.ranked[last], e) > 0 { // one of the two has moved
			apart = append(apart, k.ranked[last], e)
			k.ranked = k.ranked[:last]
			continue
		}
		k.ranked = append(k.ranked, e)
	}
	clear(old[len(k.ranked):])
	slices.SortFunc(apart, compareRanked)
	k.ranked = mergeFrom(k.ranked, apart, compareRanked)
	clear(apart)
	k.comers = apart[:0]
	return k.ranked
}

// mergeFrom merges a sorted list into another.
func mergeFrom[T any](to, from []T, compare func(a, b T) int) []T {
	i, k := len(to)-1, len(from)-1
	to = append(to, from...)
	for at := len(to) - 1; k >= 0; at-- {
		if i >= 0 && compare(to[i], from[k]) > 0 {
			to[at] = to[i]
			i--
			continue
		}
		to[at] = from[k]
		k--
	}
	return to
}
