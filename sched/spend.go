package sched

import (
	"slices"

	"ainexus.io/nexus"
)

// userAt is a user in a queue.
type userAt struct {
	queue int
	user  string
}

// userHolds is what a user holds in a queue and those below it.
type userHolds struct {
	jobs int
	has  [resources]int64
}

// plant replaces the queues and counts all that runs anew.
func (p *Planner) plant() {
	p.plantAs(newTree(p.queues))
}

func (p *Planner) plantAs(t *tree) {
	p.tree = t
	p.held, p.users = newAccount(p.tree), map[userAt]userHolds{}
	p.line.stir()
	for _, e := range p.jobs {
		e.spent = nil
		p.spend(e)
		p.spare(e)
	}
}

// queueOf is the position of a job's queue; -1 where it does not exist.
func (p *Planner) queueOf(e *entry) int {
	name := e.job.Spec.Queue
	if name == "" {
		name = nexus.DefaultQueue
	}
	if i, ok := p.tree.at[name]; ok {
		return i
	}
	return -1
}

// spend counts what a live job holds; it is given back by [Planner.refund].
func (p *Planner) spend(e *entry) {
	e.queue = p.queueOf(e)
	if p.tree.plain || e.queue < 0 || e.job.Placement == nil || e.job.Phase == nexus.Pending {
		return
	}
	e.spent = p.amountOf(e.job.Placement.Seats)
	p.count(e, 1)
}

func (p *Planner) refund(e *entry) {
	if e.spent != nil {
		p.count(e, -1)
		e.spent = nil
	}
}

func (p *Planner) count(e *entry, sign int) {
	p.tree.add(p.held, e.queue, e.spent, int64(sign))
	for i := e.queue; i >= 0; i = p.tree.queues[i].parent {
		key := userAt{i, e.job.User}
		u := p.users[key]
		u.jobs += sign
		for r := range u.has {
			u.has[r] += int64(sign) * e.spent[r]
		}
		if u == (userHolds{}) {
			delete(p.users, key)
			continue
		}
		p.users[key] = u
	}
}

// recount counts again what lives on a node, whose devices may be others now.
func (p *Planner) recount(node string) {
	if len(p.tree.models) == 1 { // what is held is the same whatever the models are
		return
	}
	for _, e := range p.live[node] {
		p.refund(e)
		p.spend(e)
	}
}

// amountOf adds up seats. Of a node that is not known the models are not either.
func (p *Planner) amountOf(seats []nexus.Seat) amounts {
	total := make(amounts, p.tree.cells())
	for _, s := range seats {
		node := p.now.Node(s.Node)
		beside := map[int]bool{0: true}
		for _, g := range s.GPUs {
			for _, m := range p.tree.rowsOf(modelOf(node, g)) {
				beside[m] = true
				if s.Share > 0 {
					total[m*resources+ofShares] += int64(s.Share)
				} else {
					total[m*resources+ofGPUs]++
				}
			}
		}
		for m := range beside {
			total[m*resources+ofCPU] += int64(s.CPU)
		}
	}
	return total
}

func modelOf(n *nexus.Node, g nexus.SeatGPU) string {
	if n == nil {
		return ""
	}
	i := slices.IndexFunc(n.GPUs, func(d nexus.GPU) bool {
		if g.UUID != "" && d.UUID != "" {
			return g.UUID == d.UUID
		}
		return g.Index == d.Index
	})
	if i < 0 {
		return ""
	}
	return n.GPUs[i].Model
}
