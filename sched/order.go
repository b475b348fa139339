package sched

import (
	"slices"
	"time"

	"ainexus.io/nexus"
	"ainexus.io/sched/policy"
)

// line is the waiting jobs in order. A hundred thousand of them are walked in every cycle, so what is asked of each is
// beside it and not behind a pointer.
type line struct {
	spots    []spot
	come     []*entry // since it was last put in order
	gone     []*entry
	stirred  bool   // the queues changed
	version  uint64 // counts changes
	promises promises
}

// spot is a place in line.
type spot struct {
	entry    *entry
	form     *form
	told     *nexus.Reason // the form's reason, where that is what the job was told
	priority nexus.Priority
	work     int64  // GPU-seconds that it is expected to take
	plain    bool   // nothing but its form and its priority decides about it
	alone    uint64 // the cycle in which it was decided about it alone
}

// promises is since when, by priority, seats are kept for somebody; zero: they are not.
type promises [4]time.Time

func (p promises) of(j *nexus.Job) time.Time {
	if i := j.Spec.Priority - nexus.Low; i >= 0 && int(i) < len(p) {
		return p[i]
	}
	return time.Time{}
}

func (l *line) compare(a, b *entry) int {
	if a.holds != b.holds && a.job.Spec.Priority == b.job.Spec.Priority {
		return bit(b.holds) - bit(a.holds)
	}
	return policy.Compare(&a.job, &b.job, a.key, b.key, l.promises.of(&a.job))
}

func (l *line) add(e *entry) {
	l.version++
	l.come = append(l.come, e)
}

func (l *line) stir() {
	l.version++
	l.stirred = true
}

func (l *line) drop(e *entry) {
	l.version++
	l.gone = append(l.gone, e)
}

// move gives a job another place, since seats are kept for it or are not any more: who is waited for goes first among
// equals.
func (l *line) move(e *entry, holds bool) {
	if e.holds == holds {
		return
	}
	l.version++
	l.cut(len(l.gone) > 16)
	if i, there := l.find(e); there {
		l.spots = slices.Delete(l.spots, i, i+1)
		l.come = append(l.come, e)
	}
	e.holds = holds
}

func (l *line) find(e *entry) (int, bool) {
	i, ok := slices.BinarySearchFunc(l.spots, e, func(s spot, e *entry) int { return l.compare(s.entry, e) })
	return i, ok && l.spots[i].entry == e
}

// sort puts the line in order: whoever left is cut out, whoever came is merged in. Other promises mean another
// order for all.
func (l *line) sort(p promises, spotOf func(*entry) spot) {
	if l.promises != p || l.stirred {
		l.version++
		l.cut(true)
		for i, s := range l.spots {
			l.spots[i] = spotOf(s.entry)
		}
		l.stirred = false
		l.promises = p
		slices.SortFunc(l.spots, func(a, b spot) int { return l.compare(a.entry, b.entry) })
	}
	l.cut(len(l.gone) > 16)
	l.merge(spotOf)
}

// cut takes out those who are gone; one by one, where they are few.
func (l *line) cut(all bool) {
	if all {
		l.spots = slices.DeleteFunc(l.spots, func(s spot) bool { return s.entry.gone })
	} else {
		for _, e := range l.gone {
			if i, there := l.find(e); there {
				l.spots = slices.Delete(l.spots, i, i+1)
			}
		}
	}
	l.gone = l.gone[:0]
}

func (l *line) merge(spotOf func(*entry) spot) {
	l.come = slices.DeleteFunc(l.come, func(e *entry) bool { return e.gone })
	if len(l.come) == 0 {
		return
	}
	if len(l.come) <= 4 && len(l.spots) > 64 { // one by one
		for _, e := range l.come {
			i, _ := l.find(e)
			l.spots = slices.Insert(l.spots, i, spotOf(e))
		}
		l.come = l.come[:0]
		return
	}
	slices.SortFunc(l.come, l.compare)
	old := len(l.spots)
	l.spots = slices.Grow(l.spots, len(l.come))[:old+len(l.come)]
	to := len(l.spots) - 1
	for i, k := old-1, len(l.come)-1; k >= 0; to-- {
		if i >= 0 && l.compare(l.spots[i].entry, l.come[k]) > 0 {
			l.spots[to] = l.spots[i]
			i--
			continue
		}
		l.spots[to] = spotOf(l.come[k])
		k--
	}
	l.come = l.come[:0]
}

func (c *cycle) spotOf(e *entry) spot {
	j := &e.job
	return spot{
		entry: e, form: e.form, priority: j.Spec.Priority, work: e.work,
		plain: !(c.anySlicing() && j.Served > 0) && c.tree.plain && e.queue >= 0 && j.NotBefore.IsZero() && alone(j),
	}
}

// order is the line of waiting jobs, as the policy says. While seats are kept for somebody, others of his
// priority who came since take their turn by arrival, whatever their type: they do not take what he was
// promised.
func (c *cycle) order() []spot {
	var p promises
	for _, e := range c.holders {
		if e.holds && len(c.kept[e.job.ID].Seats) == 0 {
			c.line.move(e, false)
		}
	}
	c.holders = c.holders[:0]
	for id, r := range c.kept {
		e := c.jobs[id]
		if e == nil || r.Resize || !c.waits(e) {
			continue
		}
		c.holders = append(c.holders, e)
		c.line.move(e, len(r.Seats) > 0)
		since := &p[e.job.Spec.Priority-nexus.Low]
		if since.IsZero() || r.Since.Before(*since) {
			*since = r.Since
		}
	}
	c.line.sort(p, c.spotOf)
	c.turns = c.line.spots
	if c.tree.shared {
		c.turns = c.merged(c.line.spots)
	}
	return c.turns
}

// notYet holds back who may not start for a reason of its own: it is held, waits for others, backs off, or its queue is gone.
func (c *cycle) notYet(e *entry) bool {
	switch {
	case c.heldBack(e):
	case e.job.NotBefore.After(c.at):
		c.wakeAt(e.job.NotBefore)
		c.reasons[e] = nexus.Reason{Code: nexus.WaitBackoff, Until: e.job.NotBefore}
	case !c.hasQueue(e.job.Spec.Queue):
		c.reasons[e] = nexus.Reason{Code: nexus.WaitQueue}
	case c.blockedByFleet(e):
	default:
		return false
	}
	return true
}

func (c *cycle) hasQueue(name string) bool {
	if name == "" || name == nexus.DefaultQueue {
		return true
	}
	_, ok := c.queues[name]
	return ok
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}
