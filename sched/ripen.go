package sched

import (
	"slices"
	"sort"
	"time"

	"ainexus.io/nexus"
	"ainexus.io/sched/policy"
)

// ripening is what a cycle knows of live jobs that may not be stopped, because they have not run for as long as their
// queue has them run, or were preempted as often as it allows ([policy.Bounds]).
type ripening struct {
	asOf     time.Time           // when live jobs would be asked for their seats; zero: now
	heedless bool                // nobody counts as spared
	green    map[hungry]bool     // for whom nobody ripens
	yields   map[*entry]yielding // whom waiting jobs are told about
}

// yielding is a job that is asked for its seats some time; zero: never, for it is spared.
type yielding struct {
	entry *entry
	at    time.Time
}

// roomFor finds seats for a job, and whom they are to be had from.
type roomFor func(e *entry, soon []*entry) (seats []nexus.Seat, victims []*entry)

// ripen keeps for a job the seats of those whom it may ask for them later, when they have run for long enough, and has
// the planner woken at the first instant at which these are enough. Until then it is a claim with a date like any other:
// nobody behind begins on what it needs, to be protected there in turn, but for who is gone by then.
func (c *cycle) ripen(e *entry, room roomFor) bool {
	key := hungry{e.as, e.job.Spec.Priority, e.queue}
	switch {
	case c.tree.longest == 0 && c.spared == 0, c.bars.calm[e.job.ID]:
		return false
	case c.green[key] && c.stopping[e.job.ID] == nil:
		return false
	}
	soon, own := c.leavingFor(e)
	at, gone, ok := c.firstRoom(e, soon, room)
	if !ok {
		c.noteGreen(key)
		c.noteSpared(e, soon, room)
		return false
	}
	seats, victims := c.inTime(e, gone, room, at)
	if len(victims) == 0 { // who has said when he ends makes the room, or there is none
		return false
	}
	c.wakeAt(at)
	c.noteYielding(e, yielding{c.ripest(victims), at})
	if len(c.claims) >= c.policy.Heads() {
		return false
	}
	e.ahead = len(c.claims)
	c.keep(claim{entry: e, seats: seats, start: at}, slices.Concat(concerned(gone, own, seats), victims)...)
	return true
}

// firstRoom is the first instant at which there will be room for a job, and who is gone by then, if nothing happens but that
// others are ripe or end when they have said. It is not looked for later than everybody who lives now is ripe.
func (c *cycle) firstRoom(e *entry, soon []*entry, room roomFor) (at time.Time, gone []*entry, ok bool) {
	last := c.at.Add(c.tree.longest)
	times, ending := c.until(last)
	goneBy := func(at time.Time) []*entry {
		by := func(v *entry) bool { return c.end(v).After(at) }
		return slices.Concat(soon, slices.DeleteFunc(slices.Clone(ending), by))
	}
	roomAt := func(at time.Time) bool {
		seats, _ := c.inTime(e, goneBy(at), room, at)
		return seats != nil
	}
	seats, victims := c.inTime(e, goneBy(last), room, last)
	if seats == nil || len(times) == 0 {
		return at, nil, false
	}
	from, to := 0, len(times)-1
	if len(victims) > 0 { // mostly it is when the last of these is ripe
		i, there := slices.BinarySearchFunc(times, c.ripeAt(c.ripest(victims)), time.Time.Compare)
		switch {
		case !there:
		case !roomAt(times[i]):
			from = min(i+1, to)
		case i == 0 || !roomAt(times[i-1]):
			from, to = i, i
		default:
			to = i - 1
		}
	}
	at = times[from+sort.Search(to-from, func(i int) bool { return roomAt(times[from+i]) })]
	return at, goneBy(at), true
}

// until are the instants to come at which somebody is ripe or has said that he is gone, and who has, by id.
func (c *cycle) until(last time.Time) (times []time.Time, ending []*entry) {
	ahead := func(at time.Time) bool { return at.After(c.at) && !at.After(last) }
	for _, on := range c.live {
		for _, v := range on {
			if at := c.ripeAt(v); ahead(at) {
				times = append(times, at)
			}
			if end := c.end(v); ahead(end) && v.job.Phase != nexus.Stopping && c.later.Held(v.job.ID) != nil {
				times, ending = append(times, end), append(ending, v)
			}
		}
	}
	slices.SortFunc(times, time.Time.Compare)
	return slices.CompactFunc(times, time.Time.Equal), slices.Compact(sortedByID(ending))
}

// inTime is the room that there will be for a job, as far as it is made by jobs that are then ripe.
func (c *cycle) inTime(e *entry, soon []*entry, room roomFor, at time.Time) ([]nexus.Seat, []*entry) {
	c.asOf = at
	defer func() { c.asOf = time.Time{} }()
	return room(e, soon)
}

// roomByAny is room by whoever may be asked, by priority or for what was lent.
func (c *cycle) roomByAny(e *entry, soon []*entry) (seats []nexus.Seat, victims []*entry) {
	if seats, victims = c.makeRoom(e, soon, c.victims); seats == nil {
		return c.roomByLent(e, soon)
	}
	return seats, victims
}

// roomByLent is room by those whose queues borrowed.
func (c *cycle) roomByLent(e *entry, soon []*entry) (seats []nexus.Seat, victims []*entry) {
	if c.tree.plain || e.queue < 0 {
		return nil, nil
	}
	ask := e.ask
	seats, victims = c.takeBack(e, soon)
	if c.widen(e); ask != nil { // what it may have now is what its reason is about, not what it could have had
		c.narrowTo(e, ask)
	}
	return seats, victims
}

// exposed reports whether a live job may be stopped for one that waits, as far as its queue's bounds go. Who was only just
// placed is not stopped but taken back, if that is now.
func (c *cycle) exposed(e, v *entry) bool {
	at, b := c.asOf, c.boundsOf(v)
	if at.IsZero() {
		at = c.at
	}
	ripe := !c.ripeAt(v).After(at) && (c.heedless || !b.Spares(&e.job, &v.job))
	return ripe || c.asOf.IsZero() && c.bars.fresh[v.job.ID]
}

// boundsOf are those of a job's queue.
func (p *Planner) boundsOf(e *entry) policy.Bounds {
	if e.queue < 0 {
		return policy.DefaultBounds()
	}
	return p.tree.queues[e.queue].bounds
}

// spare counts a live job that was preempted so often that it is left alone.
func (p *Planner) spare(e *entry) {
	spared := e.job.Placement != nil && p.boundsOf(e).Spared(&e.job)
	p.spared += bit(spared) - bit(e.spared)
	e.spared = spared
}

// ripeAt is when a live job may be stopped as far as its minimum run time goes.
func (c *cycle) ripeAt(v *entry) time.Time { return c.boundsOf(v).RipeAt(&v.job) }

// ripest is the one of some jobs that is ripe last; of equals the first by id.
func (c *cycle) ripest(victims []*entry) *entry {
	return slices.MaxFunc(sortedByID(slices.Clone(victims)), func(a, b *entry) int { return c.ripeAt(a).Compare(c.ripeAt(b)) })
}

// compareRipe says which of two live jobs is ripe first, where it is asked about later; now that does not matter.
func (c *cycle) compareRipe(a, b *entry) int {
	if c.asOf.IsZero() {
		return 0
	}
	return c.ripeAt(a).Compare(c.ripeAt(b))
}

// compareRipest is compareRipe for the last of some jobs.
func (c *cycle) compareRipest(a, b []*entry) int {
	if c.asOf.IsZero() || len(a) == 0 || len(b) == 0 {
		return 0
	}
	return c.ripeAt(c.ripest(a)).Compare(c.ripeAt(c.ripest(b)))
}

func (c *cycle) noteGreen(key hungry) {
	if c.green == nil {
		c.green = map[hungry]bool{}
	}
	c.green[key] = true
}

func (c *cycle) noteYielding(e *entry, y yielding) {
	if c.yields == nil {
		c.yields = map[*entry]yielding{}
	}
	c.yields[e] = y
}

// noteSpared looks for somebody who would make room, were he not spared.
func (c *cycle) noteSpared(e *entry, soon []*entry, room roomFor) {
	if c.spared == 0 {
		return
	}
	c.heedless = true
	_, victims := c.inTime(e, soon, room, c.at.Add(c.tree.longest))
	c.heedless = false
	for _, v := range sortedByID(slices.Clone(victims)) {
		if c.boundsOf(v).Spares(&e.job, &v.job) {
			c.noteYielding(e, yielding{entry: v})
			return
		}
	}
}

// tellYielding says of a reason who is asked for his seats and when, or why he is not.
func (c *cycle) tellYielding(e *entry, r *nexus.Reason) {
	y, known := c.yields[e]
	if !known {
		return
	}
	r.Yields, r.From = y.entry.job.ID, y.at
	if b := c.boundsOf(y.entry); y.at.Equal(b.RipeAt(&y.entry.job)) {
		r.Runs = nexus.Duration(b.MinRun)
	}
}
