package sched

import (
	"cmp"
	"time"

	"ainexus.io/nexus"
	"ainexus.io/sched/ledger"
)

// standings is what a planner that ranks anew keeps between steps: everybody in rank, and its notes on nodes.
type standings struct {
	ranked []*entry // as they were ranked last
	comers []*entry // who came or changed since
	fleet  uint64   // when the slots were numbered
	seen   uint64   // of the ledger's changes
	at     []standing
}

// standing is how a node stands while it is chosen anew who runs.
type standing struct {
	sound bool // all who run there fit beside one another, and so do some of them

	// What follows is of one step.
	on        []runner
	best, all ledger.Sheet
	known     bool // best is filled in
	open      bool // all is
	crowded   bool // somebody was given something, or it is not sound: whoever runs has to fit
	idle      int  // GPUs that nobody of a higher rank has: so many at the most
}

// runner is the seat of a running job, by its rank.
type runner struct {
	rank int
	seat *nexus.Seat
}

func compareRanked(a, b *entry) int {
	if c := cmp.Or(cmp.Compare(b.job.Spec.Priority, a.job.Spec.Priority), cmp.Compare(a.key, b.key)); c != 0 {
		return c
	}
	return cmp.Or(a.job.Submitted.Compare(b.job.Submitted), cmp.Compare(a.job.ID, b.job.ID))
}

func (p *Planner) rankOf(e *entry) time.Duration {
	return p.policy.Rank.Key(&e.job, p.outlook, p.at, e.whole)
}

// slotsOf is where the seats of a job are; -1 for a node that is not there.
func (p *Planner) slotsOf(e *entry) []int {
	if e.slotsAt == p.index.fleet && e.slots != nil {
		return e.slots
	}
	e.slots, e.slotsAt = e.slots[:0], p.index.fleet
	for i := range e.job.Placement.Seats {
		slot, ok := p.now.Slot(e.job.Placement.Seats[i].Node)
		if !ok {
			slot = -1
		}
		e.slots = append(e.slots, slot)
	}
	return e.slots
}

// stand notes who runs where.
func (r *reranking) stand() {
	k := &r.standings
	if k.fleet != r.index.fleet || len(k.at) != len(r.index.rooms) {
		k.fleet, k.seen, k.at = r.index.fleet, 0, make([]standing, len(r.index.rooms))
	}
	k.seen = r.now.Changed(k.seen, func(slot int) { k.at[slot].sound = r.isSound(slot) })
	for slot := range k.at {
		n := &k.at[slot]
		n.on, n.known, n.open, n.crowded, n.idle = n.on[:0], false, false, !n.sound, idleIn(&r.index.rooms[slot])
	}
	for rank, e := range r.ranked {
		if e.job.Phase != nexus.Running || e.job.Placement == nil {
			continue
		}
		e.passed = false
		for i, slot := range r.slotsOf(e) {
			if slot < 0 {
				continue
			}
			n, s := &k.at[slot], &e.job.Placement.Seats[i]
			n.on = append(n.on, runner{rank, s})
			n.idle += len(s.GPUs)
		}
	}
	for slot := range k.at {
		if k.at[slot].crowded {
			r.bestOn(slot, 0)
		}
	}
}

// isSound reports whether all who run on a node fit beside one another and whoever else is still there.
func (r *reranking) isSound(slot int) bool {
	name := r.index.rooms[slot].Node.Name
	best := &r.standings.at[slot].best
	r.now.Copy(name, best)
	runs := func(do func(s *nexus.Seat)) {
		for _, e := range r.live[name] {
			if e.job.Phase == nexus.Running {
				do(seatAt(&e.job, name))
			}
		}
	}
	runs(best.Give)
	sound := true
	runs(func(s *nexus.Seat) {
		best.Room(&r.room)
		sound = sound && r.room.Takes(*s)
		best.Take(s)
	})
	return sound
}

// bestOn is what those before a rank were given or kept on a node.
func (r *reranking) bestOn(slot, rank int) *ledger.Sheet {
	n := &r.standings.at[slot]
	if n.known {
		return &n.best
	}
	n.known = true
	r.now.Copy(r.index.rooms[slot].Node.Name, &n.best)
	for _, o := range n.on {
		if o.rank >= rank || r.ranked[o.rank].passed {
			n.best.Give(o.seat)
		}
	}
	return &n.best
}

// open is what is free on a node, to change it.
func (r *reranking) open(slot int) *ledger.Sheet {
	n := &r.standings.at[slot]
	if !n.open {
		n.open = true
		r.now.Copy(r.index.rooms[slot].Node.Name, &n.all)
		r.apart.add(slot)
	}
	return &n.all
}
