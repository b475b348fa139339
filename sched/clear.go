package sched

import (
	"cmp"
	"maps"
	"slices"

	"ainexus.io/nexus"
	"ainexus.io/sched/ledger"
)

// clearing is a search for live jobs whose leaving would let another start.
type clearing struct {
	accounts []*ledger.Ledger // that who leaves is taken out of
	see      look
	may      func(*entry) bool              // who may be asked
	orders   []func(a, b *entry) int        // in which they are tried; each gives one proposal per node
	compare  func(proposal, b []*entry) int // negative: the better proposal
}

// proposal is who would have to leave so that a seat is free on a node.
type proposal struct {
	node  string
	leave []*entry
}

// clear finds who has to leave so that the whole gang fits; nil if nobody's leaving helps. No one is in
// the answer whose staying would do no harm. The accounts are left as they were.
func (c *cycle) clear(j *nexus.Job, cl clearing) []*entry {
	var found []proposal
	for _, name := range c.now.Names() {
		if c.now.Node(name).State != nexus.Ready {
			continue
		}
		if leave, ok := c.clearNode(name, j, cl); ok {
			found = append(found, proposal{name, leave})
		}
	}
	need := gang(&j.Spec).Min
	if len(found) < need {
		return nil
	}
	slices.SortFunc(found, func(a, b proposal) int {
		return cmp.Or(cmp.Compare(bit(len(a.leave) > 0), bit(len(b.leave) > 0)), cl.compare(a.leave, b.leave), cmp.Compare(a.node, b.node))
	})
	if found = c.together(found, &j.Spec); len(found) < need {
		return nil
	}
	if need == 1 {
		return found[0].leave
	}
	all := map[string]*entry{}
	for _, p := range found[:need] {
		for _, v := range p.leave {
			all[v.job.ID] = v
		}
	}
	leave := slices.SortedFunc(maps.Values(all), cl.orders[0])
	return c.spare(leave, cl, func() bool { return c.find(j, cl.see) != nil })
}

// clearNode makes the best proposal for one node.
func (c *cycle) clearNode(name string, j *nexus.Job, cl clearing) (best []*entry, ok bool) {
	fits := func() bool {
		if !cl.see(name, &c.room) {
			return false
		}
		_, ok := seatOn(&c.room, &j.Spec)
		return ok
	}
	var candidates []*entry
	for _, e := range c.live[name] {
		if cl.may(e) {
			candidates = append(candidates, e)
		}
	}
	marks := cl.checkpoint()
	defer cl.rollback(marks)
	for _, e := range candidates {
		cl.release(e)
	}
	if !fits() {
		return nil, false
	}
	for i, order := range cl.orders {
		slices.SortFunc(candidates, order)
		leave := c.spare(candidates, cl, fits)
		if i == 0 || cl.compare(leave, best) < 0 {
			best = leave
		}
	}
	return best, true
}

// spare lets stay whoever can, the last in order first, as long as the job fits. All of them have left
// when it is called, or are released by it, and have left again when it returns.
func (c *cycle) spare(candidates []*entry, cl clearing, fits func() bool) []*entry {
	marks := cl.checkpoint()
	defer cl.rollback(marks)
	for _, e := range candidates {
		cl.release(e)
	}
	var leave []*entry
	for _, e := range slices.Backward(candidates) {
		inner := cl.checkpoint()
		cl.charge(e)
		if fits() {
			cl.keep(inner)
			continue
		}
		cl.rollback(inner)
		leave = append(leave, e)
	}
	slices.Reverse(leave)
	return leave
}

func (cl clearing) checkpoint() []ledger.Mark {
	marks := make([]ledger.Mark, len(cl.accounts))
	for i, a := range cl.accounts {
		marks[i] = a.Checkpoint()
	}
	return marks
}

func (cl clearing) rollback(marks []ledger.Mark) {
	for i, a := range cl.accounts {
		a.Rollback(marks[i])
	}
}

func (cl clearing) keep(marks []ledger.Mark) {
	for i, a := range cl.accounts {
		a.Keep(marks[i])
	}
}

func (cl clearing) release(e *entry) {
	for _, a := range cl.accounts {
		a.Release(e.job.ID)
	}
}

func (cl clearing) charge(e *entry) {
	for _, a := range cl.accounts {
		a.Charge(e.job.ID, e.job.Placement.Seats)
	}
}
