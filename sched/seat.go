package sched

import (
	"fmt"
	"strings"

	"ainexus.io/nexus"
	"ainexus.io/sched/ledger"
)

// rank is how much a job would like a seat: less is better.
type rank [3]int64

// offer is a seat that a node could give.
type offer struct {
	seat nexus.Seat
	node *nexus.Node
	rank rank
}

// seatOn makes the seat that a job would get on a node, if the node has room for it.
func seatOn(r *ledger.Room, s *nexus.Spec) (offer, bool) {
	var p picker
	return p.seat(r, s)
}

// rate is the rank of the seat that a job would get on a node, if the node has room for it. It makes no seat.
func (p *picker) rate(r *ledger.Room, s *nexus.Spec) (rank, bool) {
	res := &s.Resources
	if res.CPU > r.CPU || res.Memory > r.Memory {
		return rank{}, false
	}
	switch {
	case res.GPUs.Auto:
		o, ok := p.seat(r, s)
		return o.rank, ok
	case res.GPUs.N > 0:
		if !p.whole(r, s, res.GPUs.N) {
			return rank{}, false
		}
		return p.rankWhole(r, s), true
	case res.Share():
		best, ok := p.share(r, s)
		if !ok {
			return rank{}, false
		}
		return p.rankShare(r, s, best), true
	}
	return p.rankCPU(r, s), true
}

// seat makes the seat.
func (p *picker) seat(r *ledger.Room, s *nexus.Spec) (offer, bool) {
	res := &s.Resources
	if res.CPU > r.CPU || res.Memory > r.Memory {
		return offer{}, false
	}
	seat := nexus.Seat{Node: r.Node.Name, Workers: s.Workers, CPU: res.CPU, Memory: res.Memory}
	switch {
	case res.GPUs.Auto:
		return p.autoSeat(r, s, seat)
	case res.GPUs.N > 0:
		return p.gpuSeat(r, s, seat, res.GPUs.N)
	case res.Share():
		return p.shareSeat(r, s, seat)
	}
	return p.cpuSeat(r, s, seat), true
}

// autoSeat takes exactly `workers` free GPUs, or all free ones where the workers were not counted, else
// none and CPU workers.
func (p *picker) autoSeat(r *ledger.Room, s *nexus.Spec, seat nexus.Seat) (offer, bool) {
	p.free = p.wholeGPUs(p.free[:0], r, &s.Resources)
	free := len(p.free)
	n := s.Workers
	if n == 0 {
		n = free
	}
	if n > free {
		n = 0
	}
	counted := s.Workers > 0
	if !counted {
		seat.Workers = max(1, n)
	}
	if !counted && seat.CPU == 0 {
		seat.CPU = min(nexus.CPU(1000*seat.Workers), r.CPU)
		if seat.CPU < 1000 {
			return offer{}, false
		}
	}
	if n == 0 {
		o := p.cpuSeat(r, s, seat)
		why := "no GPU is free: "
		if len(r.Node.GPUs) == 0 {
			why = "no GPU here: "
		}
		o.seat.Because = why + o.seat.Because
		o.rank = rank{0, o.rank[0], o.rank[1]}
		return o, true
	}
	o, ok := p.gpuSeat(r, s, seat, n)
	o.rank = rank{int64(-n), o.rank[0], o.rank[1]}
	return o, ok
}

func (p *picker) gpuSeat(r *ledger.Room, s *nexus.Spec, seat nexus.Seat, n int) (offer, bool) {
	if !p.whole(r, s, n) {
		return offer{}, false
	}
	if seat.Workers == 0 {
		seat.Workers = n
	}
	seat.GPUs, seat.Because = seatGPUs(r.Node, p.picked), p.because(r, s)
	return offer{seat: seat, node: r.Node, rank: p.rankWhole(r, s)}, true
}

func (p *picker) shareSeat(r *ledger.Room, s *nexus.Spec, seat nexus.Seat) (offer, bool) {
	best, ok := p.share(r, s)
	if !ok {
		return offer{}, false
	}
	seat.Workers = max(1, seat.Workers)
	seat.GPUs, seat.Share, seat.Because = seatGPUs(r.Node, []int{best}), s.Resources.GPUMemory, p.becauseShare(r, s, best)
	return offer{seat: seat, node: r.Node, rank: p.rankShare(r, s, best)}, true
}

// cpuSeat seats workers that use no GPU; they may share cpu slots.
func (p *picker) cpuSeat(r *ledger.Room, s *nexus.Spec, seat nexus.Seat) offer {
	seat.Workers = max(1, seat.Workers)
	seat.Because = fmt.Sprintf("%s on %s", count(seat.Workers, "worker"), slotsOf(seat.CPU))
	return offer{seat: seat, node: r.Node, rank: p.rankCPU(r, s)}
}

// rankCPU puts nodes without GPUs first.
func (p *picker) rankCPU(r *ledger.Room, s *nexus.Spec) rank {
	gpus := int64(bit(len(r.GPUs) > 0))
	if p.scores(s) && !s.Resources.GPUs.Auto {
		score, _ := p.scoreOf(r, s)
		return rank{gpus, -score}
	}
	if s.Type != nexus.Preprocessing {
		return rank{gpus, -int64(r.CPU)}
	}
	whole := 0
	for i := range r.GPUs {
		whole += bit(r.GPUs[i].Whole)
	}
	return rank{gpus, int64(whole), int64(r.CPU)} // leftovers: the fuller node
}

// wholeGPUs adds to list the positions of the devices that a job could have for itself.
func (p *picker) wholeGPUs(list []int, r *ledger.Room, res *nexus.Resources) []int {
	for i := range r.GPUs {
		d := &r.Node.GPUs[i]
		if r.GPUs[i].Whole && d.Memory >= res.GPUMemory && d.MIG == res.MIG && p.suit(d, res.GPUModel) {
			list = append(list, i)
		}
	}
	return list
}

// isModel reports whether a device is of one of the models; "A100" is "NVIDIA A100-SXM4-40GB", "A10" is not.
func isModel(d *nexus.GPU, models []string) bool {
	if len(models) == 0 {
		return true
	}
	for _, m := range models {
		if hasWords(d.Model, m) {
			return true
		}
	}
	return false
}

// hasWords reports whether the words of one text stand in another, one after the other, whatever their case. Nodes are
// asked by the million, so nothing is allocated for it.
func hasWords(text, wanted string) bool {
	first, others := word(wanted)
	for first != "" && text != "" {
		var w string
		if w, text = word(text); strings.EqualFold(w, first) && beginsWith(text, others) {
			return true
		}
	}
	return false
}

func beginsWith(text, wanted string) bool {
	for {
		want, others := word(wanted)
		if want == "" {
			return true
		}
		var w string
		if w, text = word(text); !strings.EqualFold(w, want) {
			return false
		}
		wanted = others
	}
}

// word is the first word of a text, which is letters and digits, and what follows it.
func word(text string) (w, rest string) {
	begin := 0
	for begin < len(text) && !inWord(text[begin]) {
		begin++
	}
	end := begin
	for end < len(text) && inWord(text[end]) {
		end++
	}
	return text[begin:end], text[end:]
}

func inWord(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

func seatGPUs(n *nexus.Node, picked []int) []nexus.SeatGPU {
	gpus := make([]nexus.SeatGPU, 0, len(picked))
	for _, i := range picked {
		gpus = append(gpus, nexus.SeatGPU{Index: n.GPUs[i].Index, UUID: n.GPUs[i].UUID})
	}
	return gpus
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func slotsOf(c nexus.CPU) string {
	if c == 1000 {
		return "1 cpu slot"
	}
	return c.String() + " cpu slots"
}

func cpus(c nexus.CPU) string {
	if c == 1000 {
		return "1 cpu"
	}
	return c.String() + " cpus"
}
