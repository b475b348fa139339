package sched

import (
	"cmp"
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
	r := reranking{Planner: p, best: make([]ledger.Sheet, len(p.index.rooms)), all: make([]ledger.Sheet, len(p.index.rooms)), full: map[*form]bool{}}
	var ranked []*entry
	for _, e := range p.jobs {
		switch {
		case e.job.Phase == nexus.Pending && !e.job.NotBefore.After(p.at) && p.waitsFor(&e.job).Code == "":
			e.key = p.keyOf(&e.job)
			ranked = append(ranked, e)
		case e.job.Phase == nexus.Running:
			e.key = p.keyOf(&e.job)
			ranked = append(ranked, e)
		}
	}
	slices.SortFunc(ranked, func(a, b *entry) int {
		return cmp.Or(cmp.Compare(b.job.Spec.Priority, a.job.Spec.Priority), cmp.Compare(a.key, b.key),
			a.job.Submitted.Compare(b.job.Submitted), cmp.Compare(a.job.ID, b.job.ID))
	})
	for slot, name := range p.now.Names() {
		p.now.Copy(name, &r.all[slot])
		p.now.Copy(name, &r.best[slot])
	}
	for _, e := range ranked {
		if e.job.Placement != nil {
			r.each(e, func(slot int, s *nexus.Seat) { r.best[slot].Give(s) })
		}
	}
	winner := ""
	for _, e := range ranked {
		switch {
		case e.job.Placement == nil:
			if r.seat(e) && winner == "" {
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

// reranking is such a choice under way. Best has who was chosen so far; all has those and who runs and was not passed
// over yet.
type reranking struct {
	*Planner
	best, all []ledger.Sheet
	full      map[*form]bool
	room      ledger.Room
}

func (r *reranking) each(e *entry, do func(slot int, s *nexus.Seat)) {
	for i := range e.job.Placement.Seats {
		s := &e.job.Placement.Seats[i]
		if slot, ok := r.now.Slot(s.Node); ok {
			do(slot, s)
		}
	}
}

// stays keeps a running job where it is, if nobody of a higher rank is there.
func (r *reranking) stays(e *entry) bool {
	fits := true
	r.each(e, func(slot int, s *nexus.Seat) {
		r.best[slot].Room(&r.room)
		fits = fits && r.room.Takes(*s)
	})
	r.each(e, func(slot int, s *nexus.Seat) {
		if fits {
			r.best[slot].Take(s)
		} else {
			r.all[slot].Give(s)
		}
	})
	return fits
}

// seat gives a waiting job seats: free ones, else those of who ranks lower. It reports whether somebody has to go.
func (r *reranking) seat(e *entry) bool {
	if r.full[e.form] {
		return false
	}
	sheets, displaces := r.all, false
	chosen := r.look(e, sheets)
	if chosen == nil {
		sheets, displaces = r.best, true
		chosen = r.look(e, sheets)
	}
	if chosen == nil {
		r.full[e.form] = true
		return false
	}
	for _, o := range chosen {
		sheets[o.slot].Room(&r.room)
		made, _ := r.index.picker.seat(&r.room, &e.form.spec)
		r.best[o.slot].Take(&made.seat)
		r.all[o.slot].Take(&made.seat)
	}
	return displaces
}

func (r *reranking) look(e *entry, sheets []ledger.Sheet) []candidate {
	var found []candidate
	for slot := range sheets {
		node := r.index.rooms[slot].Node
		if node.State != nexus.Ready {
			continue
		}
		sheets[slot].Room(&r.room)
		if rank, ok := r.index.picker.rate(&r.room, &e.form.spec); ok {
			found = append(found, candidate{slot, node, rank})
		}
	}
	return choose(found, &e.form.spec)
}

// crossing is when the rank of a running job changes by itself, or wake if that is earlier.
func (p *Planner) crossing(wake time.Time) time.Time {
	if !p.policy.Rerank {
		return wake
	}
	for _, e := range p.jobs {
		if at := p.policy.Rank.Crossing(&e.job, p.at); !at.IsZero() && (wake.IsZero() || at.Before(wake)) {
			wake = at
		}
	}
	return wake
}
