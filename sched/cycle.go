package sched

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"ainexus.io/nexus"
	"ainexus.io/sched/ledger"
)

// cycle is one round of the passes: what it decided, and what only it needs to know.
type cycle struct {
	*Planner
	placed  []nexus.Placement
	evicted []nexus.Eviction
	undone  map[string]string // placements of this step that have to go, and for whom
	vain    []string          // victims of this step that nobody needs
	bars    bars
	wake    time.Time

	// stopping are the live jobs that are on their way out, by whom they stop for; "" for nobody.
	stopping map[string][]*entry
	lifted   []*entry        // live jobs taken out of `later`, because somebody waits for them to leave
	owed     map[string]debt // by node, for all claims
	reasons  map[*entry]nexus.Reason
	// full, barren and fleet remember by shape what failed, so that a thousand equal jobs are tried once:
	// in a step capacity only shrinks, and equals keep their order.
	full   map[shape]*entry
	barren map[hungry]bool
	fleet  map[shape]nexus.Reason
	short  map[shape]nexus.Reason
	// dry and robbed remember the same of queues: who is held by quota, and who could take nothing back.
	dry    map[inQueue]shortage
	robbed map[hungry]bool
	// spoken is what queues hold once those who are waited for have left and those who wait ahead have
	// theirs; begun when somebody waits. returned are who left in it, heads for whom a queue's is kept.
	spoken   account
	returned map[string]bool
	heads    map[int]string
	models   []string // of the fleet, when somebody asked

	room, other ledger.Room // scratch
}

// hungry is a shape with the priority that it may evict by.
type hungry struct {
	shape    shape
	priority nexus.Priority
	queue    int // its quota decides about victims too
}

func newCycle(p *Planner, b bars) *cycle {
	c := &cycle{
		Planner:  p,
		bars:     b,
		undone:   map[string]string{},
		stopping: map[string][]*entry{},
		owed:     map[string]debt{},
		reasons:  map[*entry]nexus.Reason{},
		full:     map[shape]*entry{},
		barren:   map[hungry]bool{},
		fleet:    map[shape]nexus.Reason{},
		short:    map[shape]nexus.Reason{},
		dry:      map[inQueue]shortage{},
		robbed:   map[hungry]bool{},
		returned: map[string]bool{},
		heads:    map[int]string{},
	}
	p.claims = nil
	for _, e := range c.leaving() {
		to := e.job.StopFor
		if !c.promised(e) {
			to = ""
		}
		c.stopping[to] = append(c.stopping[to], e)
	}
	return c
}

// leaving lists the live jobs that were asked to stop, by id.
func (c *cycle) leaving() []*entry {
	found := map[string]*entry{}
	for _, on := range c.live {
		for id, e := range on {
			if e.job.Phase == nexus.Stopping {
				found[id] = e
			}
		}
	}
	return sortedByID(slices.Collect(maps.Values(found)))
}

// reserve notes what is kept for whom, and reports whether that changes the order of the line. Who loses a
// reservation in a step does not get another in it.
func (c *cycle) reserve() bool {
	kept, news := map[string]nexus.Reservation{}, false
	for _, cl := range c.claims {
		id := cl.entry.job.ID
		if !cl.preempts || c.bars.lost[id] && !c.regains(id) {
			continue
		}
		before, had := c.kept[id]
		r := nexus.Reservation{Job: id, Since: c.at, Seats: cl.seats}
		if had {
			r.Since = before.Since
		}
		kept[id], news = r, news || !had
	}
	for id := range c.kept {
		if _, still := kept[id]; !still {
			c.bars.lost[id], news = true, true
		}
	}
	c.Planner.kept = kept
	return news
}

// regains lets a job that lost its reservation in this step have one again, once, if others are asked to stop
// for it: its queue may have come to allow more only by what was taken back since.
func (c *cycle) regains(id string) bool {
	forIt := len(c.stopping[id]) > 0 || slices.ContainsFunc(c.evicted, func(v nexus.Eviction) bool { return v.For == id })
	if !forIt || c.bars.again[id] {
		return false
	}
	c.bars.again[id] = true
	delete(c.bars.lost, id)
	return true
}

// close puts `later` back to the facts, counts evictions as taken, and brings the plan up to date.
func (c *cycle) close(plan *nexus.Plan) {
	for _, cl := range c.claims {
		c.later.Release(cl.entry.job.ID)
	}
	for _, e := range c.lifted {
		c.later.Charge(e.job.ID, e.job.Placement.Seats)
	}
	for _, v := range c.evicted {
		e := c.jobs[v.Job]
		after := e.job
		after.Phase, after.Stop, after.StopFor = nexus.Stopping, nexus.StopPreempt, v.For
		c.take(e, after)
	}
	plan.Place, plan.Evict = append(plan.Place, c.placed...), append(plan.Evict, c.evicted...)
	c.undo(plan)
	c.Drop(c.vain...)
}

// changed lists what is kept otherwise than before, by job.
func changed(before, now map[string]nexus.Reservation) []nexus.Reservation {
	var list []nexus.Reservation
	for id, r := range now {
		if !slices.EqualFunc(before[id].Seats, r.Seats, sameSeat) {
			list = append(list, r)
		}
	}
	for id := range before {
		if _, still := now[id]; !still {
			list = append(list, nexus.Reservation{Job: id})
		}
	}
	slices.SortFunc(list, func(a, b nexus.Reservation) int { return cmp.Compare(a.Job, b.Job) })
	return list
}

// lift takes a live job out of `later`: somebody waits for it to leave.
func (c *cycle) lift(e *entry) {
	if c.later.Release(e.job.ID) != nil {
		c.lifted = append(c.lifted, e)
	}
}

// look is a way of seeing what is free on a node.
type look func(node string, r *ledger.Room) bool

// both is what is free now and not kept for anybody.
func (c *cycle) both(node string, r *ledger.Room) bool {
	if !c.now.Room(node, r) || !c.later.Room(node, &c.other) {
		return false
	}
	r.Narrow(&c.other)
	c.owed[node].subtract(r)
	return true
}

func sameSeat(a, b nexus.Seat) bool {
	return a.Node == b.Node && a.Workers == b.Workers && a.Share == b.Share && a.CPU == b.CPU &&
		a.Memory == b.Memory && slices.Equal(a.GPUs, b.GPUs)
}

func sortedByID(entries []*entry) []*entry {
	slices.SortFunc(entries, func(a, b *entry) int { return cmp.Compare(a.job.ID, b.job.ID) })
	return entries
}
