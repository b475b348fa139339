package sched

import (
	"cmp"
	"slices"

	"ainexus.io/nexus"
	"ainexus.io/sched/ledger"
	"ainexus.io/sched/policy"
)

// index knows for each kind of request how well every node suits it, and looks again only at nodes about which
// something changed. It reads one ledger and follows it through whatever is tried and undone.
type index struct {
	ledger *ledger.Ledger
	picker picker
	score  func(m models, supply []policy.Supply) policy.Scorer // makes one for a fleet
	fleet  uint64                                               // of the ledger, when the slots were numbered
	seen   uint64                                               // of the ledger's changes, by the rooms
	rooms  []ledger.Room
	idle   int // devices of which nobody has any part
	tables map[shape]*table
	uses   uint64
}

// Tables are kept for so many kinds of request; the one that was not used for the longest time goes.
const mostTables = 512

// table is how well every node suits one kind of request.
type table struct {
	spec    nexus.Spec
	demands []demand
	seen    uint64 // of the ledger's changes
	used    uint64
	fit     int     // how many nodes have a seat
	waits   *clears // what claims would wait for; nil until asked for
	*tournament[rating]
}

// rating is what one node is worth for a request: a seat of some rank, or how far it gets.
type rating struct {
	fits bool
	met  int8 // demands met before the first that is not; -1: the node takes no jobs
	rank rank // less is better; where nothing fits: how little it has of what is short
}

func compareRatings(a, b *rating) int {
	if a.fits != b.fits {
		return bit(b.fits) - bit(a.fits)
	}
	return cmp.Or(cmp.Compare(b.met, a.met), slices.Compare(a.rank[:], b.rank[:]))
}

func newIndex(l *ledger.Ledger, score func(models, []policy.Supply) policy.Scorer) *index {
	return &index{ledger: l, tables: map[shape]*table{}, score: score}
}

// forgetScores makes every node be looked at again: what is expected, or the fleet, is another.
func (x *index) forgetScores() { x.picker.scorer = nil }

// sync looks again at the rooms that changed.
func (x *index) sync() {
	if fleet := x.ledger.Fleet(); fleet != x.fleet || x.picker.scorer == nil {
		if x.ledger.Number(); fleet != x.fleet || len(x.rooms) != len(x.ledger.Names()) {
			x.fleet, x.seen, x.idle = fleet, 0, 0
			x.rooms = make([]ledger.Room, len(x.ledger.Names()))
		}
		m := newModels(x.ledger.Names(), x.ledger.Node)
		x.picker.worth = worth{models: m, suits: map[suit]bool{}}
		x.picker.scorer = x.score(m, m.supply(x.ledger.Names(), x.ledger.Node))
		clear(x.tables)
	}
	x.seen = x.ledger.Changed(x.seen, func(slot int) {
		x.idle -= idleIn(&x.rooms[slot])
		x.ledger.RoomAt(slot, &x.rooms[slot])
		x.idle += idleIn(&x.rooms[slot])
	})
}

func idleIn(r *ledger.Room) (n int) {
	for i := range r.GPUs {
		n += bit(r.GPUs[i].Whole)
	}
	return n
}

// waits asks the scorer whether a share had better not open an idle device of a node.
func (x *index) waits(slot int, s *nexus.Spec) bool {
	w, ok := x.picker.scorer.(interface {
		Waits(s *policy.Site, r *policy.Request, device, idle, devices int) bool
	})
	if !ok {
		return false
	}
	x.sync()
	_, device := x.picker.scoreOf(&x.rooms[slot], s)
	devices := 0
	for i := range x.rooms {
		devices += len(x.rooms[i].GPUs)
	}
	return w.Waits(&x.picker.site, &x.picker.request, device, x.idle, devices)
}

// table is up to date when it is returned.
func (x *index) table(s shape, spec *nexus.Spec) *table {
	x.sync()
	s.duration, s.nodes = 0, nexus.Range{}
	t := x.tables[s]
	if t == nil {
		x.evict()
		t = &table{spec: *spec, demands: demands(spec), tournament: newTournament(len(x.rooms), compareRatings)}
		for i := range t.values {
			t.values[i].met = -1
		}
		x.tables[s] = t
	}
	x.uses++
	t.used = x.uses
	many := t.seen == 0
	t.seen = x.ledger.Changed(t.seen, func(slot int) {
		before := t.values[slot]
		if t.values[slot] = x.rate(t, &x.rooms[slot]); t.values[slot] == before {
			return // what was tried was undone
		}
		t.fit += bit(t.values[slot].fits) - bit(before.fits)
		if !many {
			t.play(slot)
		}
	})
	if many {
		t.playAll()
	}
	return t
}

func (x *index) evict() {
	if len(x.tables) < mostTables {
		return
	}
	var oldest shape
	least := x.uses + 1
	for s, t := range x.tables {
		if t.used < least {
			oldest, least = s, t.used
		}
	}
	delete(x.tables, oldest)
}

// rate rates a node by what is free on it.
func (x *index) rate(t *table, r *ledger.Room) rating {
	if r.Node.State != nexus.Ready {
		return rating{met: -1}
	}
	if gpus := &t.spec.Resources.GPUs; gpus.Auto || gpus.N <= idleIn(r) {
		if rank, ok := x.picker.rate(r, &t.spec); ok {
			return rating{fits: true, met: int8(len(t.demands)), rank: rank}
		}
	}
	for i := range t.demands {
		if have := t.demands[i].have(r); have < t.demands[i].need {
			return rating{met: int8(i), rank: rank{-have}}
		}
	}
	return rating{met: int8(len(t.demands))}
}

// shortfall is what [fleet.shortfall] says of the same nodes.
func (x *index) shortfall(t *table, need int, code nexus.ReasonCode) nexus.Reason {
	best := t.best(nil)
	switch {
	case t.fit >= need:
		return nexus.Reason{}
	case t.fit > 0:
		return nexus.Reason{Code: code, Resource: "nodes", Need: int64(need), Have: int64(t.fit)}
	case best < 0 || int(t.values[best].met) >= len(t.demands):
		return nexus.Reason{Code: code, Resource: "nodes", Need: int64(need)}
	case t.values[best].met < 0:
		d := t.demands[0]
		return nexus.Reason{Code: code, Resource: d.resource, Need: d.need}
	}
	d := t.demands[t.values[best].met]
	return nexus.Reason{Code: code, Resource: d.resource, Need: d.need, Have: -t.values[best].rank[0], Node: x.rooms[best].Node.Name}
}
