package sched

import (
	"cmp"
	"slices"
	"time"

	"ainexus.io/nexus"
	"ainexus.io/sched/policy"
)

// claim is what a blocked job waits for. In `later` it has its seats, and its blockers have left.
type claim struct {
	entry    *entry
	seats    []nexus.Seat
	blockers []*entry
	start    time.Time // when the last blocker will have ended at the latest; zero: unknown
	likely   time.Time // when it will have ended nine times in ten, if start is unknown; zero: that is unknown too
	preempts bool      // others are being stopped for it
	owes     map[string]debt
}

// begins is the date before which others may use what the claim keeps; zero: there is none.
func (cl claim) begins() time.Time {
	if cl.start.IsZero() {
		return cl.likely
	}
	return cl.start
}

// beginsAfter reports whether a job that starts now makes room for the claim in time. Where the claim has a promised
// date, that takes a promised end; where its date is a likely one, a likely end does.
func (cl claim) beginsAfter(end, likely time.Time) bool {
	if cl.start.IsZero() {
		end = earlier(end, likely)
	}
	return !end.IsZero() && !cl.begins().Before(end)
}

// earlier is the earlier of two dates, of which zero ones are unknown.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// claim keeps for a blocked job what it waits for: seats that are free once certain live jobs have ended,
// those with a known end first, else the oldest. Because every seat given to somebody behind it has to be
// free in `later` too, the job starts at the latest when those have ended: backfill cannot starve it.
//
// Only the first of the line keep claims; the rest are behind them anyhow, and come up as these start.
func (c *cycle) claim(e *entry) bool {
	if len(c.claims) >= c.policy.Heads() || !(c.due(e) || c.explains) {
		return false
	}
	f := c.in(e.as)
	if f.hopeless == len(c.lifted)+1 {
		return false
	}
	blockers := c.clear(e, clearing{
		may:     func(v *entry) bool { return c.later.Held(v.job.ID) != nil && c.stays[v.job.ID] == nil },
		orders:  []func(a, b *entry) int{c.compareEnds},
		compare: c.compareBlockers,
	})
	mark, size := c.later.Checkpoint(), len(c.apart.list)
	for _, b := range blockers {
		c.later.Release(b.job.ID)
		c.setApart(b.job.Placement.Seats)
	}
	seats := c.find(e, c.later.Room, &c.apart)
	c.later.Rollback(mark)
	if seats == nil {
		c.apart.cut(size)
		f.hopeless = len(c.lifted) + 1
		return false
	}
	cl := claim{entry: e, seats: seats, blockers: blockers, start: last(blockers, c.end)}
	if cl.start.IsZero() {
		cl.likely = last(blockers, c.likely)
	}
	c.first = cmp.Or(c.first, e)
	c.keep(cl, blockers...)
	return true
}

// due reports whether a job may keep a claim yet. Where runs are learnt only the first that is blocked does, until
// others have waited long: up to then these have better chances in the holes that open than by having GPUs kept idle for
// them; with ours, that is: others have no patience.
func (c *cycle) due(e *entry) bool {
	if c.first == nil || c.settledInLine(e) {
		return true
	}
	c.wakeAt(c.outlook.OverdueAt(&e.job))
	return false
}

// settledInLine reports whether nobody who comes will go ahead of a job among its equals, so that the date of its claim is a
// promise.
func (c *cycle) settledInLine(e *entry) bool {
	return c.policy.Rank != policy.ByDue || !c.outlook.Taught() || c.outlook.Overdue(&e.job, c.at)
}

// promised reports whether a live job is stopping for somebody who waits.
func (c *cycle) promised(v *entry) bool {
	w := c.jobs[v.job.StopFor]
	asked := v.job.Stop == nexus.StopPreempt || v.job.Stop == nexus.StopResize
	return v.job.Phase == nexus.Stopping && asked && w != nil && c.waits(w)
}

// compareEnds says who of two live jobs is waited for rather: the earlier known end, else the older.
func (c *cycle) compareEnds(a, b *entry) int {
	x, y := c.end(a), c.end(b)
	if known := cmp.Compare(bit(x.IsZero()), bit(y.IsZero())); known != 0 {
		return known
	}
	return cmp.Or(x.Compare(y), a.job.Started.Compare(b.job.Started), cmp.Compare(a.job.ID, b.job.ID))
}

// compareBlockers prefers a known date, then the earlier one, then fewer to wait for, then older ones.
func (c *cycle) compareBlockers(a, b []*entry) int {
	x, y := last(a, c.end), last(b, c.end)
	if known := cmp.Compare(bit(x.IsZero()), bit(y.IsZero())); known != 0 {
		return known
	}
	return cmp.Or(x.Compare(y), cmp.Compare(len(a), len(b)), slices.CompareFunc(a, b, c.compareEnds))
}

// end is when a live job will have ended at the latest; zero: unknown. Who is stopping may take as long as
// its save takes; but who stops for somebody behind is looked at as before that was decided, so that a
// decision made for those behind changes nothing for those ahead.
func (c *cycle) end(e *entry) time.Time {
	if e.job.Phase == nexus.Stopping && !c.promised(e) && e.job.Stop != nexus.StopResize {
		return time.Time{}
	}
	return c.endOf(&e.job, e.job.Started)
}

// endOf is when an attempt that starts then has ended at the latest; zero: unknown.
func (c *cycle) endOf(j *nexus.Job, start time.Time) time.Time {
	switch {
	case c.policy.Exact:
		return start.Add(c.whole(j) - time.Duration(j.Served))
	case j.Spec.MaxDuration > 0:
		return start.Add(time.Duration(j.Spec.MaxDuration))
	}
	return time.Time{}
}

// last is the last of the dates of some live jobs; zero where one of them is unknown.
func last(entries []*entry, date func(*entry) time.Time) time.Time {
	var last time.Time
	for _, e := range entries {
		at := date(e)
		if at.IsZero() {
			return at
		}
		if at.After(last) {
			last = at
		}
	}
	return last
}

// likelyEnd is when an attempt that starts then will have ended nine times in ten, by those like it; zero where nothing
// was learnt. Who is not over by then is given as long again, and so on: each time there is another date, for which the planner wakes.
func (c *cycle) likelyEnd(j *nexus.Job, start time.Time) time.Time {
	if !c.outlook.Taught() {
		return time.Time{}
	}
	runs := max(time.Minute, c.outlook.Expect(j, time.Duration(j.Served)).High-time.Duration(j.Served))
	for !start.Add(runs).After(c.at) {
		runs *= 2
	}
	return start.Add(runs)
}

// likely is when a live job will have ended nine times in ten, or at the latest where that is known to be earlier.
func (c *cycle) likely(e *entry) time.Time {
	end := c.likelyEnd(&e.job, e.job.Started)
	if !end.IsZero() {
		c.wakeAt(end)
	}
	return earlier(end, c.end(e))
}
