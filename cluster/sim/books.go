package sim

import (
	"fmt"
	"maps"
	"slices"

	"ainexus.io/nexus"
)

// book is what the living attempts hold of one node. It is the place's own: it knows nothing of the
// planner's account.
type book struct {
	cpu    nexus.CPU
	memory nexus.MiB
	gpus   map[int]held // by index
	seats  map[string]nexus.Seat
}

// held is what is held of one device.
type held struct {
	whole  int
	shares nexus.MiB
}

func (b *book) add(x nexus.Seat, sign int) {
	b.cpu += nexus.CPU(sign) * x.CPU
	b.memory += nexus.MiB(sign) * x.Memory
	for _, g := range x.GPUs {
		h := b.gpus[g.Index]
		if x.Share > 0 {
			h.shares += nexus.MiB(sign) * x.Share
		} else {
			h.whole += sign
		}
		b.gpus[g.Index] = h
	}
}

// enter books the seats of an attempt that begins.
func (s *Sim) enter(j *imagined) {
	for _, x := range j.job.Placement.Seats {
		b := s.books[x.Node]
		if b == nil {
			b = &book{gpus: map[int]held{}, seats: map[string]nexus.Seat{}}
			s.books[x.Node] = b
		}
		b.seats[j.job.ID] = x
		b.add(x, 1)
	}
}

// leave gives the seats of an attempt back.
func (s *Sim) leave(j *imagined) {
	for _, x := range j.job.Placement.Seats {
		b := s.books[x.Node]
		delete(b.seats, j.job.ID)
		b.add(x, -1)
	}
}

// on lists the jobs that hold something of a node, by id.
func (s *Sim) on(node string) []string {
	b := s.books[node]
	if b == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(b.seats))
}

// wrong says which promise a placement would break; empty if none. It trusts nobody's account but the
// place's own.
func (s *Sim) wrong(j nexus.Job, p nexus.Placement) string {
	if n := len(p.Seats); n < max(1, j.Spec.Nodes.Min) || n > max(1, j.Spec.Nodes.Max) {
		return fmt.Sprintf("a gang of %s nodes got %d", j.Spec.Nodes, n)
	}
	seen := make(map[string]bool, len(p.Seats))
	for _, seat := range p.Seats {
		if seen[seat.Node] {
			return "two seats on " + seat.Node
		}
		seen[seat.Node] = true
		if why := s.crowded(seat); why != "" {
			return why
		}
	}
	return ""
}

// crowded says what a seat would exceed on its node.
func (s *Sim) crowded(seat nexus.Seat) string {
	n, b := s.nodes[seat.Node], s.books[seat.Node]
	if b == nil {
		b = &book{}
	}
	if cpu, memory := b.cpu+seat.CPU, b.memory+seat.Memory; cpu > n.CPU || memory > n.Memory {
		return fmt.Sprintf("%s would give %s of %s cpus and %s of %s", n.Name, cpu, n.CPU, memory, n.Memory)
	}
	for k, g := range seat.GPUs {
		i := slices.IndexFunc(n.GPUs, func(d nexus.GPU) bool { return d.Index == g.Index })
		h := b.gpus[g.Index]
		shares := h.shares + seat.Share
		twice := slices.ContainsFunc(seat.GPUs[:k], func(o nexus.SeatGPU) bool { return o.Index == g.Index })
		switch {
		case i < 0:
			return fmt.Sprintf("%s has no GPU %d", n.Name, g.Index)
		case twice || h.whole > 0 || seat.Share == 0 && shares > 0:
			return fmt.Sprintf("%s would give GPU %d twice", n.Name, g.Index)
		case shares > n.GPUs[i].Usable():
			return fmt.Sprintf("%s would give %s of GPU %d, which has %s", n.Name, shares, g.Index, n.GPUs[i].Usable())
		}
	}
	return ""
}
