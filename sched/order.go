package sched

import (
	"maps"
	"slices"
	"time"

	"ainexus.io/nexus"
	"ainexus.io/sched/policy"
)

// order is the line of waiting jobs, as the policy says. While seats are kept for somebody, others of his
// priority who came since take their turn by arrival, whatever their type: they do not take what he was
// promised.
func (c *cycle) order() []*entry {
	promised := map[nexus.Priority]time.Time{}
	for id, r := range c.kept {
		e := c.jobs[id]
		if e == nil || !c.waits(e) {
			continue
		}
		if first, ok := promised[e.job.Spec.Priority]; !ok || r.Since.Before(first) {
			promised[e.job.Spec.Priority] = r.Since
		}
	}
	if c.tree.shared {
		if c.stirred {
			c.line = slices.DeleteFunc(c.line, func(e *entry) bool { return !c.waits(e) })
		}
		c.line = c.merged(promised)
		c.stirred, c.promises = false, promised
		return c.line
	}
	if c.stirred || !maps.Equal(promised, c.promises) {
		c.line = slices.DeleteFunc(c.line, func(e *entry) bool { return !c.waits(e) })
		slices.SortFunc(c.line, func(a, b *entry) int {
			return policy.Compare(&a.job, &b.job, promised[a.job.Spec.Priority])
		})
		c.stirred, c.promises = false, promised
	}
	return c.line
}

// notYet holds back who may not start for a reason of its own: it backs off, or its queue is gone.
func (c *cycle) notYet(e *entry) bool {
	switch {
	case e.job.NotBefore.After(c.at):
		if c.wake.IsZero() || e.job.NotBefore.Before(c.wake) {
			c.wake = e.job.NotBefore
		}
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
