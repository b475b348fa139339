package sched

import (
	"fmt"
	"strings"

	"ainexus.io/nexus"
	"ainexus.io/sched/ledger"
)

// seatOn makes the seat that a job would get on a node, if the node has room for it.
func seatOn(r *ledger.Room, s *nexus.Spec) (offer, bool) {
	res := &s.Resources
	if res.CPU > r.CPU || res.Memory > r.Memory {
		return offer{}, false
	}
	seat := nexus.Seat{Node: r.Node.Name, Workers: s.Workers, CPU: res.CPU, Memory: res.Memory}
	switch {
	case res.GPUs.Auto:
		return autoSeat(r, s, seat)
	case res.GPUs.N > 0:
		return gpuSeat(r, s, seat, res.GPUs.N)
	case res.Share():
		return shareSeat(r, s, seat)
	}
	return cpuSeat(r, s, seat), true
}

// autoSeat takes exactly `workers` free GPUs, or all free ones where the workers were not counted, else
// none and CPU workers.
func autoSeat(r *ledger.Room, s *nexus.Spec, seat nexus.Seat) (offer, bool) {
	free := len(wholeGPUs(r, &s.Resources))
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
		o := cpuSeat(r, s, seat)
		why := "no GPU is free: "
		if len(r.Node.GPUs) == 0 {
			why = "no GPU here: "
		}
		o.seat.Because = why + o.seat.Because
		o.rank = [3]int64{0, o.rank[0], o.rank[1]}
		return o, true
	}
	o, ok := gpuSeat(r, s, seat, n)
	o.rank = [3]int64{int64(-n), o.rank[0], o.rank[1]}
	return o, ok
}

func gpuSeat(r *ledger.Room, s *nexus.Spec, seat nexus.Seat, n int) (offer, bool) {
	free := onIsland(r, s, wholeGPUs(r, &s.Resources), n)
	if len(free) < n {
		return offer{}, false
	}
	if seat.Workers == 0 {
		seat.Workers = n
	}
	o := offer{node: r.Node, rank: rankWhole(r, s.Type, n)}
	picked, because := pickWhole(r, s, free, n)
	seat.GPUs, seat.Because = seatGPUs(r.Node, picked), because
	o.rank[0] += weigh(r, s.Type, picked)
	o.seat = seat
	return o, true
}

func shareSeat(r *ledger.Room, s *nexus.Spec, seat nexus.Seat) (offer, bool) {
	want := s.Resources.GPUMemory
	var fit []int
	for i := range r.GPUs {
		if r.GPUs[i].Share >= want && isModel(&r.Node.GPUs[i], s.Resources.GPUModel) && r.Node.GPUs[i].MIG == s.Resources.MIG {
			fit = append(fit, i)
		}
	}
	if len(fit) == 0 {
		return offer{}, false
	}
	seat.Workers = max(1, seat.Workers)
	picked, because := pickShare(r, s, fit)
	seat.GPUs, seat.Share, seat.Because = seatGPUs(r.Node, []int{picked}), want, because
	return offer{seat: seat, node: r.Node, rank: rankShare(r, s.Type, picked)}, true
}

// cpuSeat seats workers that use no GPU; they may share cpu slots. Nodes without GPUs come first.
func cpuSeat(r *ledger.Room, s *nexus.Spec, seat nexus.Seat) offer {
	seat.Workers = max(1, seat.Workers)
	seat.Because = fmt.Sprintf("%s on %s", count(seat.Workers, "worker"), slots(seat.CPU))
	o := offer{seat: seat, node: r.Node}
	whole := 0
	for i := range r.GPUs {
		whole += bit(r.GPUs[i].Whole)
	}
	o.rank[0] = int64(bit(len(r.GPUs) > 0))
	if s.Type == nexus.Preprocessing {
		o.rank[1], o.rank[2] = int64(whole), int64(r.CPU) // leftovers: the fuller node
	} else {
		o.rank[1] = -int64(r.CPU)
	}
	return o
}

// wholeGPUs lists the positions of the devices that a job could have for itself.
func wholeGPUs(r *ledger.Room, res *nexus.Resources) []int {
	var free []int
	for i := range r.GPUs {
		d := &r.Node.GPUs[i]
		if r.GPUs[i].Whole && d.Memory >= res.GPUMemory && isModel(d, res.GPUModel) && d.MIG == res.MIG {
			free = append(free, i)
		}
	}
	return free
}

// isModel reports whether a device is of one of the models; "A100" is "NVIDIA A100-SXM4-40GB", "A10" is not.
func isModel(d *nexus.GPU, models []string) bool {
	if len(models) == 0 {
		return true
	}
	have := " " + words(d.Model) + " "
	for _, m := range models {
		if want := words(m); want != "" && strings.Contains(have, " "+want+" ") {
			return true
		}
	}
	return false
}

func words(text string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(text), func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9')
	}), " ")
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

func slots(c nexus.CPU) string {
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
