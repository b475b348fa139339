package sched

import (
	"ainexus.io/nexus"
	"ainexus.io/sched/ledger"
)

// debt is what claims on a node will take of it beyond what those they wait for give back. Nobody knows in
// which order claims come true, so it is the most that is owed for any one of them when its own blockers
// have left, and for all up to any one of them when theirs have; `later` alone, which is how things are
// after the last of them, would hand out what a late blocker gives back before he does.
type debt struct {
	cpu    nexus.CPU
	memory nexus.MiB
	shares []nexus.MiB // by device, as the room has them
}

// subtract takes a debt out of what is free now.
func (d debt) subtract(r *ledger.Room) {
	r.CPU, r.Memory = r.CPU-min(r.CPU, d.cpu), r.Memory-min(r.Memory, d.memory)
	for i := range min(len(d.shares), len(r.GPUs)) {
		r.GPUs[i].Share -= min(r.GPUs[i].Share, d.shares[i])
	}
}

// worst is what is owed at most under either.
func (d debt) worst(o debt) debt {
	w := debt{cpu: max(d.cpu, o.cpu), memory: max(d.memory, o.memory), shares: make([]nexus.MiB, max(len(d.shares), len(o.shares)))}
	copy(w.shares, d.shares)
	for i, m := range o.shares {
		w.shares[i] = max(w.shares[i], m)
	}
	return w
}

// keep makes a claim: who it waits for leaves `later`, it gets its seats there, and what is owed for it is
// worked out on every node that this touched.
func (c *cycle) keep(cl claim, leave ...*entry) {
	touched := map[string]bool{}
	for _, e := range leave {
		c.lift(e)
		for _, s := range e.job.Placement.Seats {
			touched[s.Node] = true
		}
	}
	c.later.Charge(cl.entry.job.ID, cl.seats)
	c.setApart(cl.seats)
	for _, s := range cl.seats {
		touched[s.Node] = true
	}
	cl.owes = map[string]debt{}
	for node, then := range c.rooms(touched, c.later) {
		cl.owes[node] = c.missing(node, then)
	}
	mark := c.now.Checkpoint()
	for _, e := range leave {
		c.now.Release(e.job.ID)
		c.now.Charge(comeback(e.job.ID), c.stays[e.job.ID])
	}
	c.now.Charge(cl.entry.job.ID, cl.seats)
	alone := c.rooms(touched, c.now)
	c.now.Rollback(mark)
	for node, then := range alone {
		cl.owes[node] = cl.owes[node].worst(c.missing(node, then))
		c.owed[node] = c.owed[node].worst(cl.owes[node])
	}
	c.claims = append(c.claims, cl)
	c.promise(cl, leave)
}

// rooms is what an account has free on some nodes.
func (c *cycle) rooms(nodes map[string]bool, l *ledger.Ledger) map[string]*ledger.Room {
	rooms := map[string]*ledger.Room{}
	for node := range nodes {
		r := &ledger.Room{}
		if l.Room(node, r) {
			rooms[node] = r
		}
	}
	return rooms
}

// missing is by how much a node will then have less free than now.
func (c *cycle) missing(node string, then *ledger.Room) debt {
	c.now.Room(node, &c.room)
	d := debt{cpu: c.room.CPU - then.CPU, memory: c.room.Memory - then.Memory}
	for i := range c.room.GPUs {
		d.shares = append(d.shares, c.room.GPUs[i].Share-then.GPUs[i].Share)
	}
	return debt{}.worst(d)
}

// without does something as if certain claims were not there. What stands in `later` for them is the
// caller's business.
func (c *cycle) without(aside func(i int, cl claim) bool, do func()) {
	all := c.owed
	c.owed = map[string]debt{}
	for i, cl := range c.claims {
		if aside(i, cl) {
			continue
		}
		for node, d := range cl.owes {
			c.owed[node] = c.owed[node].worst(d)
		}
	}
	do()
	c.owed = all
}
