package sched

import (
	"cmp"
	"slices"
	"strings"

	"ainexus.io/nexus"
)

// admit holds a job back that its queue or its user may not have more for, and reports so. A job that may
// take less than it would like is narrowed to that: an elastic gang to fewer nodes, one that takes any
// model to those there is quota for. Nothing is admitted that is not also placed: the passes after this
// one give the seats, and only seats count.
func (c *cycle) admit(e *entry) bool {
	if c.tree.plain {
		return false
	}
	c.widen(e)
	if r, over := c.overUser(e); over {
		c.reasons[e] = r
		return true
	}
	key := inQueue{e.queue, e.form}
	short, known := c.dry[key]
	if !known {
		var fits bool
		if short, fits = c.narrow(e, nil, c.allows(e)); fits && (e.ask == nil || c.couldHost(e)) {
			return false
		}
	}
	if short.now && (c.reclaim(e) || c.ripen(e, c.roomByLent)) {
		if _, told := c.reasons[e]; !told {
			c.reasons[e] = c.quotaReason(short)
		}
		return true
	}
	c.widen(e)
	c.dry[key] = short
	c.reasons[e] = c.quotaReason(short)
	c.promiseQuota(e, short)
	return true
}

// couldHost reports whether the fleet has, well and ready, what a job was narrowed to.
func (c *cycle) couldHost(e *entry) bool {
	return c.fleetOf(e.as).Code == ""
}

// inQueue is a form in a queue: what is held by quota once in a cycle, in which use only grows, is held
// again.
type inQueue struct {
	queue int
	form  *form
}

// allows is whether the queue may hold so much more now, and also once those who wait ahead have theirs.
func (c *cycle) allows(e *entry) func(amounts) (shortage, bool) {
	return func(what amounts) (shortage, bool) {
		short, fits := c.tree.fits(c.held, e.queue, what, false)
		if !fits || c.spoken.held == nil {
			return short, fits
		}
		short, fits = c.tree.fits(c.spoken, e.queue, what, true)
		short.behind = !fits
		return short, fits
	}
}

// overUser says which limit of its user a job runs into.
func (c *cycle) overUser(e *entry) (nexus.Reason, bool) {
	var gpus int64
	for i := e.queue; i >= 0; i = c.tree.queues[i].parent {
		q := &c.tree.queues[i]
		if q.PerUser == (nexus.PerUser{}) {
			continue
		}
		held := c.users[userAt{i, e.job.User}]
		r := nexus.Reason{Code: nexus.WaitUser, Queue: q.Name, User: e.job.User}
		if most := q.PerUser.Jobs; most > 0 && held.jobs >= most {
			r.Resource, r.Need, r.Used, r.Limit = "jobs", 1, int64(held.jobs), int64(most)
			return r, true
		}
		if !e.job.Spec.Resources.GPUs.Auto {
			gpus = int64(gang(&e.job.Spec).Min * e.job.Spec.Resources.GPUs.N)
		}
		if most := q.PerUser.GPUs; most > 0 && gpus > 0 && held.has[ofGPUs]+gpus > int64(most) {
			r.Resource, r.Need, r.Used, r.Limit = "gpus", gpus, held.has[ofGPUs], int64(most)
			r.Have = max(0, r.Limit-r.Used)
			return r, true
		}
	}
	return nexus.Reason{}, false
}

// quotaReason tells a shortage: whose limit, how much of it is used, and whether the cohort could help.
func (c *cycle) quotaReason(s shortage) nexus.Reason {
	q := &c.tree.queues[s.queue]
	r := nexus.Reason{Code: nexus.WaitQuota, Queue: q.Name, Resource: resourceNames[s.cell%resources],
		Model: strings.TrimSpace(c.tree.models[s.cell/resources]), Need: s.need, Have: s.have,
		Used: c.held.of(s.queue)[s.cell], Limit: q.quota[s.cell]}
	at := s.queue
	if s.cohort >= 0 {
		at, r.Cohort = s.cohort, c.tree.queues[s.cohort].Name
	} else {
		r.Borrow = q.most[s.cell] - q.quota[s.cell]
		r.Limit = q.most[s.cell]
	}
	if s.behind {
		r.Job = cmp.Or(c.heads[at], c.growsIn(at))
	}
	return r
}

// promiseQuota keeps for the first job of a queue that its quota holds what it waits for, as claim does
// with seats: what those with a known end hold, else the oldest, is taken to have come back, and given to
// it, in the account that those behind it have to fit in too. So small jobs cannot starve a large one.
func (c *cycle) promiseQuota(e *entry, s shortage) {
	if s.behind || c.heads[e.queue] != "" {
		return
	}
	top := s.queue
	if s.cohort >= 0 {
		top = s.cohort
	}
	var blockers []*entry
	for _, on := range c.live {
		for _, v := range on {
			if v.spent != nil && !c.returned[v.job.ID] && c.tree.under(v.queue, top) {
				blockers = append(blockers, v)
			}
		}
	}
	slices.SortFunc(blockers, c.compareEnds)
	blockers = slices.Compact(blockers)
	what := c.leastAsked(e, c.kinds(&e.job.Spec)[0])
	after := c.inPromise().clone()
	var gone []*entry
	for _, v := range blockers {
		if _, fits := c.tree.fits(after, e.queue, what, false); fits {
			break
		}
		c.tree.add(after, v.queue, v.spent, -1)
		gone = append(gone, v)
	}
	if _, fits := c.tree.fits(after, e.queue, what, false); !fits {
		return
	}
	for _, v := range gone {
		c.returned[v.job.ID] = true
	}
	c.tree.add(after, e.queue, what, 1)
	c.spoken = after
	c.head(e)
}

// inPromise is the account of those who wait, begun from what is held.
func (c *cycle) inPromise() account {
	if c.spoken.held == nil {
		c.spoken = c.held.clone()
	}
	return c.spoken
}

// head notes for whom a queue's quota is kept.
func (c *cycle) head(e *entry) {
	for i := e.queue; i >= 0; i = c.tree.queues[i].parent {
		if c.heads[i] == "" {
			c.heads[i] = e.job.ID
		}
	}
}

// promise counts a claim in the account of those who wait: who it waits for is gone, and it has its seats.
func (c *cycle) promise(cl claim, leave []*entry) {
	if c.tree.plain || cl.entry.queue < 0 {
		return
	}
	after := c.inPromise()
	for _, v := range leave {
		if v.spent != nil && !c.returned[v.job.ID] {
			c.returned[v.job.ID] = true
			c.tree.add(after, v.queue, c.given(v), -1)
		}
	}
	c.tree.add(after, cl.entry.queue, c.amountOf(cl.seats), 1)
	c.head(cl.entry)
}

// placedToo counts a job that was just placed in the account of those who wait as well.
func (c *cycle) placedToo(id string) {
	if e := c.jobs[id]; c.spoken.held != nil && e.spent != nil {
		c.tree.add(c.spoken, e.queue, e.spent, 1)
	}
}

// tellNarrowed says of a reason that it is about the models that the job's queue has quota left for.
func (c *cycle) tellNarrowed(e *entry, r *nexus.Reason) {
	if e.ask == nil || slices.Equal(e.ask.Spec.Resources.GPUModel, e.job.Spec.Resources.GPUModel) {
		return
	}
	r.Queue, r.Model = c.tree.queues[e.queue].Name, strings.Join(e.ask.Spec.Resources.GPUModel, ", ")
}
