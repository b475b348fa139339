package sched

import (
	"ainexus.io/nexus"
	"ainexus.io/sched/ledger"
)

// fleet measures what nodes offer against what a job asks for.
type fleet struct {
	names []string
	node  func(string) *nexus.Node
	room  *ledger.Room // scratch
}

// view fills in what a node offers and reports whether it counts at all.
type view func(*nexus.Node, *ledger.Room) bool

// count is how many nodes have a seat for the job; it stops at enough.
func (f fleet) count(s *nexus.Spec, enough int, see view) int {
	n := tallyOf(s)
	for _, name := range f.names {
		if n.most == enough {
			break
		}
		if !see(f.node(name), f.room) {
			continue
		}
		if _, ok := seatOn(f.room, s); ok {
			n.add(f.node(name))
		}
	}
	return n.most
}

// missing is the first node that could take the job and is not Ready.
func (f fleet) missing(s *nexus.Spec) string {
	for _, name := range f.names {
		n := f.node(name)
		ledger.Empty(n, true, f.room)
		if _, ok := seatOn(f.room, s); ok && n.State != nexus.Ready {
			return name
		}
	}
	return ""
}

// shortfall names the first resource of which no node has enough beside those before it, and the node that
// comes nearest; "nodes" where some have enough of everything but not as many as the gang needs. Code is
// empty if the job fits.
func (f fleet) shortfall(s *nexus.Spec, code nexus.ReasonCode, see view) nexus.Reason {
	need := gang(s).Min
	fit := f.count(s, need, see)
	if fit == need {
		return nexus.Reason{}
	}
	if fit > 0 {
		return nexus.Reason{Code: code, Resource: "nodes", Need: int64(need), Have: int64(fit), Within: s.Topology.Require}
	}
	names := f.names
	for _, d := range demands(s) {
		r := nexus.Reason{Code: code, Resource: d.resource, Need: d.need}
		if d.resource == "gpus" && s.Topology.Require == nexus.LevelIsland {
			r.Within = nexus.LevelIsland
		}
		var enough []string
		for _, name := range names {
			if !see(f.node(name), f.room) {
				continue
			}
			have := d.have(f.room)
			if have >= d.need {
				enough = append(enough, name)
			} else if r.Node == "" || have > r.Have {
				r.Have, r.Node = have, name
			}
		}
		if len(enough) == 0 {
			return r
		}
		names = enough
	}
	return nexus.Reason{Code: code, Resource: "nodes", Need: int64(need), Within: s.Topology.Require}
}

// demand is one thing that a job asks of a node.
type demand struct {
	resource string
	need     int64
	have     func(*ledger.Room) int64
}

// demands lists what a job asks of a node, in the order in which shortage is told.
func demands(s *nexus.Spec) []demand {
	res := &s.Resources
	var p picker
	var list []demand
	switch {
	case res.GPUs.N > 0:
		list = append(list, demand{"gpus", int64(res.GPUs.N), func(r *ledger.Room) int64 {
			p.free = p.wholeGPUs(p.free[:0], r, res)
			return int64(closest(r, s, p.free))
		}})
	case res.Share():
		list = append(list, demand{"gpu_memory", int64(res.GPUMemory), func(r *ledger.Room) int64 {
			var most nexus.MiB
			for i := range r.GPUs {
				if r.GPUs[i].Share > most && p.suit(&r.Node.GPUs[i], res.GPUModel) && r.Node.GPUs[i].MIG == res.MIG {
					most = max(most, r.GPUs[i].Share)
				}
			}
			return int64(most)
		}})
	}
	return append(list,
		demand{"cpu", leastCPU(s), func(r *ledger.Room) int64 { return int64(r.CPU) }},
		demand{"memory", int64(res.Memory), func(r *ledger.Room) int64 { return int64(r.Memory) }})
}

// leastCPU is the processor time that a job asks for; one slot where it leaves even that to the node.
func leastCPU(s *nexus.Spec) int64 {
	if s.Resources.GPUs.Auto && s.Workers == 0 && s.Resources.CPU == 0 {
		return 1000
	}
	return int64(s.Resources.CPU)
}
