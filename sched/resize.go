package sched

import (
	"cmp"
	"maps"
	"slices"

	"ainexus.io/nexus"
	"ainexus.io/sched/ledger"
)

// An elastic job that runs is resized in two phases, as another is evicted: it is asked to stop, and the seats it will
// have are kept for it; when it has stopped it is placed on exactly these. It grows into what nobody who waits could
// take or has claimed, once its attempt has run for a while ([policy.ResizeAfter]), so resizes are bounded. It shrinks,
// but never below what it needs, for a job that may not start otherwise: before anybody is evicted whole.

// resizing is what a cycle knows of jobs that come back with more or fewer nodes.
type resizing struct {
	stays map[string][]nexus.Seat // by id, of those that shrink: the seats they come back to
	grows []growing               // those that come back with more, the most urgent first; until more is kept for them
	back  []nexus.Reservation     // those that come back with more, once it is
	owner []string                // in `later`, of all these seats
	firm  map[hungry]bool         // for whom nobody could be shrunk
	wide  account                 // what queues hold, and will of what is kept; begun when somebody grows
	more  map[userAt]int64        // GPUs that are kept for users
}

// growing is a job that has more coming.
type growing struct {
	entry *entry
	more  []nexus.Seat
}

// comeback is who holds in `later` what a job comes back to.
func comeback(job string) string { return "resize " + job }

// gives takes in a job that stops to be resized, and reports whether it gives any of its seats away.
func (c *cycle) gives(e *entry) bool {
	var kept []nexus.Seat
	if r := c.kept[e.job.ID]; r.Resize {
		kept = r.Seats
	}
	if e.job.StopFor != e.job.ID {
		if len(kept) > 0 {
			c.stay(e.job.ID, kept)
		}
		return true
	}
	g := growing{entry: e}
	for _, s := range kept {
		if !hasNode(e.job.Placement.Seats, s.Node) {
			g.more = append(g.more, s)
		}
	}
	c.grows = append(c.grows, g)
	slices.SortStableFunc(c.grows, func(a, b growing) int { // by id already
		return cmp.Compare(b.entry.job.Spec.Priority, a.entry.job.Spec.Priority)
	})
	return false
}

func (c *cycle) stay(id string, seats []nexus.Seat) {
	if c.stays == nil {
		c.stays = map[string][]nexus.Seat{}
	}
	c.stays[id] = seats
}

func hasNode(seats []nexus.Seat, node string) bool {
	return slices.ContainsFunc(seats, func(s nexus.Seat) bool { return s.Node == node })
}

// gone takes a live job out of both accounts, but for the seats that it comes back to.
func (c *cycle) gone(v *entry) {
	for _, l := range []*ledger.Ledger{c.now, c.later} {
		l.Release(v.job.ID)
		l.Charge(comeback(v.job.ID), c.stays[v.job.ID])
	}
	c.setApart(v.job.Placement.Seats)
}

// given is what a live job's queue gets back when it stops.
func (c *cycle) given(v *entry) amounts {
	seats := c.stays[v.job.ID]
	if seats == nil {
		return v.spent
	}
	what := slices.Clone(v.spent)
	for cell, n := range c.amountOf(seats) {
		what[cell] -= n
	}
	return what
}

// keepComeback keeps seats in `later` for a job that will be back.
func (c *cycle) keepComeback(id string, seats []nexus.Seat) {
	if len(seats) > 0 {
		c.later.Charge(comeback(id), seats)
		c.setApart(seats)
		c.owner = append(c.owner, comeback(id))
	}
}

func (c *cycle) dropComebacks() {
	for _, owner := range c.owner {
		c.later.Release(owner)
	}
}

// keptForResizes is what is kept for those who are being resized.
func (c *cycle) keptForResizes() map[string]nexus.Reservation {
	kept := map[string]nexus.Reservation{}
	note := func(r nexus.Reservation) {
		r.Resize, r.Since = true, c.at
		if before, had := c.kept[r.Job]; had {
			r.Since = before.Since
		}
		kept[r.Job] = r
	}
	for id, seats := range c.stays {
		note(nexus.Reservation{Job: id, Seats: seats})
	}
	for _, r := range c.back {
		note(r)
	}
	return kept
}

// comeBack places the jobs that have stopped in order to be resized on the seats that are kept for them; where some of
// these are gone, on the others, if they are enough.
func (c *cycle) comeBack() {
	for _, id := range slices.Sorted(maps.Keys(c.kept)) {
		e, r := c.jobs[id], c.kept[id]
		if e == nil || !r.Resize || !c.waits(e) || c.barredBy(e) != "" || c.notYet(e) {
			continue
		}
		c.widen(e)
		seats := slices.DeleteFunc(slices.Clone(r.Seats), func(s nexus.Seat) bool {
			n := c.now.Node(s.Node)
			return n == nil || n.State != nexus.Ready || !c.now.Fits(s)
		})
		least := gang(&e.job.Spec).Min
		for len(seats) > least && !c.mayHold(e, seats, false) {
			seats = seats[:len(seats)-1]
		}
		if len(seats) < least || !c.mayHold(e, seats, false) || !c.near(e, seats) {
			continue
		}
		c.start(e, seats)
	}
}

// near reports whether seats are as close together as the job requires.
func (c *cycle) near(e *entry, seats []nexus.Seat) bool {
	level := e.job.Spec.Topology.Require
	return !spans(level) || !slices.ContainsFunc(seats, func(s nexus.Seat) bool {
		return place(c.now.Node(s.Node), level) != place(c.now.Node(seats[0].Node), level)
	})
}

// mayHold reports whether the limits of its queue and its user let a job have seats on top of what they hold. With
// more, these are beyond what the job has, so nobody owes them to it.
func (c *cycle) mayHold(e *entry, seats []nexus.Seat, more bool) bool {
	if c.tree.plain || e.queue < 0 {
		return e.queue >= 0
	}
	what, held := c.amountOf(seats), c.held
	if more {
		held = c.widely()
	}
	if _, ok := c.tree.fits(held, e.queue, what, false); !ok {
		return false
	}
	if c.spoken.held != nil || more {
		if _, ok := c.tree.fits(c.inPromise(), e.queue, what, !more); !ok {
			return false
		}
	}
	for i := e.queue; i >= 0; i = c.tree.queues[i].parent {
		limit, u := c.tree.queues[i].PerUser, c.users[userAt{i, e.job.User}]
		if limit.Jobs > 0 && !more && u.jobs >= limit.Jobs {
			return false
		}
		if most := int64(limit.GPUs); most > 0 && u.has[ofGPUs]+c.more[userAt{i, e.job.User}]+what[ofGPUs] > most {
			return false
		}
	}
	return true
}

// widely is what queues hold with what is kept for those who grow.
func (c *cycle) widely() account {
	if c.wide.held == nil {
		c.wide, c.more = c.held.clone(), map[userAt]int64{}
	}
	return c.wide
}

// keepMore keeps for those who grow, of a priority or higher, what was reserved for them: ahead of their equals and
// behind whoever is more urgent.
func (c *cycle) keepMore(p nexus.Priority) {
	for len(c.grows) > 0 && c.grows[0].entry.job.Spec.Priority >= p {
		g := c.grows[0]
		c.grows = c.grows[1:]
		c.keepFor(g.entry, slices.DeleteFunc(g.more, func(s nexus.Seat) bool {
			n := c.now.Node(s.Node)
			return n == nil || n.State != nexus.Ready || !c.both(s.Node, &c.room) || !c.room.Takes(s)
		}))
	}
}

// keepFor keeps more seats for a job that runs and will be back.
func (c *cycle) keepFor(e *entry, more []nexus.Seat) {
	seats := inOrder(slices.Concat(e.job.Placement.Seats, more))
	c.back = append(c.back, nexus.Reservation{Job: e.job.ID, Seats: seats})
	c.keepComeback(e.job.ID, more)
	c.countMore(e, more)
}

// countMore counts seats that are kept for a job beyond those it has.
func (c *cycle) countMore(e *entry, more []nexus.Seat) {
	if len(more) == 0 || c.tree.plain || e.queue < 0 {
		return
	}
	what := c.amountOf(more)
	c.tree.add(c.widely(), e.queue, what, 1)
	c.tree.add(c.inPromise(), e.queue, what, 1)
	for i := e.queue; i >= 0; i = c.tree.queues[i].parent {
		c.more[userAt{i, e.job.User}] += what[ofGPUs]
	}
}

// growsIn is the first job of a queue, or of those below it, for which more is kept; empty: there is none.
func (c *cycle) growsIn(queue int) string {
	for _, r := range c.back {
		if e := c.jobs[r.Job]; e != nil && c.tree.under(e.queue, queue) {
			return r.Job
		}
	}
	return ""
}

// settled reports whether a live job runs and nothing was decided about it that has not been answered.
func (c *cycle) settled(v *entry) bool {
	_, undecided := c.taken[v.job.ID]
	return v.job.Phase == nexus.Running && !undecided && c.later.Held(v.job.ID) != nil
}
