package sched

import (
	"slices"

	"ainexus.io/nexus"
	"ainexus.io/sched/policy"
)

// shrink makes room for a job by nodes that elastic jobs could do without: these are asked to stop, come back with as
// many nodes as are left, and the rest is kept for who asked. It is tried before anybody is evicted whole.
func (c *cycle) shrink(e *entry) bool {
	if len(c.elastic) == 0 {
		return false
	}
	key := hungry{e.as, e.job.Spec.Priority, e.queue}
	if c.bars.calm[e.job.ID] || c.firm[key] && c.stopping[e.job.ID] == nil {
		return false
	}
	soon, own := c.leavingFor(e)
	seats, smaller := c.squeeze(e, soon)
	if seats == nil {
		if c.firm == nil {
			c.firm = map[hungry]bool{}
		}
		c.firm[key] = len(soon) == 0
		return false
	}
	leave := soon
	for _, v := range smaller {
		c.stay(v.entry.job.ID, v.stays)
		c.evicted = append(c.evicted, nexus.Eviction{Job: v.entry.job.ID, Attempt: v.entry.job.Attempt, For: e.job.ID, Nodes: len(v.stays)})
		leave = append(leave, v.entry)
		own = append(own, v.entry)
	}
	c.reasons[e] = nexus.Reason{Code: nexus.WaitPreempt, Job: sortedByID(slices.Clone(own))[0].job.ID}
	c.keep(claim{entry: e, seats: seats, preempts: true}, concerned(leave, own, seats)...)
	return true
}

// smaller is a live job and the seats that it would come back to.
type smaller struct {
	entry *entry
	stays []nexus.Seat
}

// squeeze finds the seats that a job gets once those who stop are gone and others have shrunk, as few as do and by as
// little; nil if that does not help, or nobody has to shrink. Accounts are left as they were.
func (c *cycle) squeeze(e *entry, soon []*entry) (seats []nexus.Seat, least []smaller) {
	list := c.shrinkable(e)
	if len(list) == 0 {
		return nil, nil
	}
	now, later, size := c.now.Checkpoint(), c.later.Checkpoint(), len(c.apart.list)
	defer func() {
		c.now.Rollback(now)
		c.later.Rollback(later)
		c.apart.cut(size)
	}()
	for _, v := range soon {
		c.gone(v)
	}
	if c.find(e, c.both, &c.apart) != nil {
		return nil, nil
	}
	var taken []*cut
	for _, node := range nodesOf(list) {
		here := c.cutsOn(e, node, list)
		if taken = append(taken, here...); len(here) > 0 && c.find(e, c.both, &c.apart) != nil {
			break
		}
	}
	for _, one := range slices.Backward(taken) { // who can stay does
		if one.put(c, true); c.find(e, c.both, &c.apart) == nil {
			one.put(c, false)
		}
	}
	if seats = c.find(e, c.both, &c.apart); seats == nil {
		return nil, nil
	}
	for _, v := range list {
		if len(v.stays) < len(v.entry.job.Placement.Seats) {
			least = append(least, *v)
		}
	}
	return seats, least
}

// shrinkable are the live jobs whose nodes beyond what they need a waiting one may have, who yields first ahead.
func (c *cycle) shrinkable(e *entry) []*smaller {
	var list []*smaller
	for _, v := range c.elastic {
		if len(v.job.Placement.Seats) <= gang(&v.job.Spec).Min || !c.settled(v) || c.stays[v.job.ID] != nil || c.bars.fresh[v.job.ID] {
			continue
		}
		switch at := c.boundsOf(v).ShrinksAt(&e.job, &v.job); {
		case at.IsZero():
			continue
		case at.After(c.at):
			c.wakeAt(at)
			continue
		}
		if c.unprotected(e, v) {
			list = append(list, &smaller{v, v.job.Placement.Seats})
		}
	}
	slices.SortFunc(list, func(a, b *smaller) int { return policy.CompareVictims(&a.entry.job, &b.entry.job, c.at) })
	return list
}

// nodesOf lists the nodes of some jobs, those of who yields first ahead.
func nodesOf(list []*smaller) []string {
	var nodes []string
	for _, v := range list {
		for _, s := range v.entry.job.Placement.Seats {
			if !slices.Contains(nodes, s.Node) {
				nodes = append(nodes, s.Node)
			}
		}
	}
	return nodes
}

// cut is a seat that a job gives up.
type cut struct {
	from *smaller
	seat nexus.Seat
}

// put gives the seat back to the job, or takes it.
func (t *cut) put(c *cycle, back bool) {
	if t.from.stays = slices.DeleteFunc(slices.Clone(t.from.stays), func(s nexus.Seat) bool { return s.Node == t.seat.Node }); back {
		t.from.stays = inOrder(append(t.from.stays, t.seat))
	}
	id := t.from.entry.job.ID
	c.now.Release(id)
	c.later.Release(id)
	c.now.Charge(id, t.from.stays)
	c.later.Charge(id, t.from.stays)
	c.setApart([]nexus.Seat{t.seat})
}

// cutsOn takes seats of a node, until the job fits there; none where that does not help.
func (c *cycle) cutsOn(e *entry, node string, list []*smaller) (taken []*cut) {
	fits := func() bool {
		if !c.both(node, &c.room) {
			return false
		}
		_, ok := c.index.picker.rate(&c.room, &e.as.spec)
		return ok
	}
	if n := c.now.Node(node); n == nil || n.State != nexus.Ready || fits() {
		return nil
	}
	for _, v := range list {
		i := slices.IndexFunc(v.stays, func(s nexus.Seat) bool { return s.Node == node })
		if i < 0 || len(v.stays) <= gang(&v.entry.job.Spec).Min {
			continue
		}
		one := &cut{v, v.stays[i]}
		one.put(c, false)
		if taken = append(taken, one); fits() {
			return taken
		}
	}
	for _, one := range taken {
		one.put(c, true)
	}
	return nil
}
