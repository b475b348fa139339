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
	bars    *bars
	wake    time.Time

	// stopping are the live jobs that are on their way out, by whom they stop for; "" for nobody.
	stopping map[string][]*entry
	lifted   []*entry        // live jobs taken out of `later`, because somebody waits for them to leave
	owed     map[string]debt // by node, for all claims
	reasons  map[*entry]nexus.Reason
	stuck    *entry // the first that found nothing
	first    *entry // the first that keeps a claim on what others hold

	turnsSeen bool       // the next turn was looked for
	hadTurn   [][]*entry // by slot: whose turn is over; nil until asked for
	apart     slots      // the nodes on which `later` is not as `now`, or something is owed
	resizing             // who comes back with more or fewer nodes
	// barren, dry and robbed remember what failed where quotas decide: nobody to evict, held by quota, nothing to take
	// back.
	barren, robbed map[hungry]bool
	dry            map[inQueue]shortage
	ripening       // who may be asked for his seats later, and for whom
	// spoken is what queues hold once those who are waited for have left and those who wait ahead have
	// theirs; begun when somebody waits. returned are who left in it, heads for whom a queue's is kept.
	spoken   account
	returned map[string]bool
	heads    map[int]string
	models   []string // of the fleet, when somebody asked

	room, other          ledger.Room // scratch, as are these
	nowSheet, laterSheet ledger.Sheet
	tried                []onNode
	unsure               slots
}

func newCycle(p *Planner, b *bars) *cycle {
	c := &cycle{
		Planner:  p,
		bars:     b,
		undone:   map[string]string{},
		stopping: map[string][]*entry{},
		owed:     map[string]debt{},
		reasons:  map[*entry]nexus.Reason{},
		barren:   map[hungry]bool{},
		robbed:   map[hungry]bool{},
		dry:      map[inQueue]shortage{},
		returned: map[string]bool{},
		heads:    map[int]string{},
	}
	p.claims = nil
	p.number++
	p.index.sync()
	for _, e := range sortedByID(slices.Collect(maps.Values(p.leaving))) {
		to := ""
		if e.job.Stop == nexus.StopResize && !c.gives(e) {
			continue
		}
		if c.promised(e) {
			to = e.job.StopFor
			c.in(c.jobs[to].form).odd = true
		}
		c.stopping[to] = append(c.stopping[to], e)
	}
	for id := range b.from {
		if e := c.jobs[id]; e != nil {
			c.in(e.form).odd = true
		}
	}
	return c
}

// wakeAt has the planner asked again at a time though nothing changes.
func (c *cycle) wakeAt(t time.Time) {
	if c.wake.IsZero() || t.Before(c.wake) {
		c.wake = t
	}
}

// setApart notes that the nodes of some seats are not as `now` has them.
func (c *cycle) setApart(seats []nexus.Seat) {
	for i := range seats {
		if slot, ok := c.now.Slot(seats[i].Node); ok {
			c.apart.add(slot)
		}
	}
}

// reserve notes what is kept for whom, and reports whether that changes the order of the line. Who loses a
// reservation again and again in a step does not get another in it, so there is an end to it.
func (c *cycle) reserve() bool {
	kept, news := c.keptForResizes(), false
	for _, cl := range c.claims {
		id := cl.entry.job.ID
		if !cl.preempts || c.bars.unlucky(id) {
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
			c.bars.lost[id]++
			news = true
		}
	}
	c.Planner.kept = kept
	return news
}

// close puts `later` back to the facts, counts evictions as taken, and brings the plan up to date.
func (c *cycle) close(plan *nexus.Plan) {
	for _, cl := range c.claims {
		c.later.Release(cl.entry.job.ID)
	}
	c.dropComebacks()
	for _, e := range c.lifted {
		c.later.Charge(e.job.ID, e.job.Placement.Seats)
	}
	for _, v := range c.evicted {
		e := c.jobs[v.Job]
		after := e.job
		after.Phase, after.Stop, after.StopFor = nexus.Stopping, v.Stop(), v.For
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
		if before[id].Resize != r.Resize || !slices.EqualFunc(before[id].Seats, r.Seats, sameSeat) {
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
		c.setApart(e.job.Placement.Seats)
		c.keepComeback(e.job.ID, c.stays[e.job.ID])
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
