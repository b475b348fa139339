package launch

import (
	"fmt"
	"slices"

	"ainexus.io/nexus"
)

// ompThreads is the variable that tells a worker how many threads to compute with.
const ompThreads = "OMP_NUM_THREADS"

// threads is each worker's part of the seat's CPUs.
func threads(s nexus.Seat) int { return max(1, int(s.CPU)/1000/max(1, s.Workers)) }

// threads are each worker's part of the cores that it is bound to and of the seat's CPUs, whichever is less. Two CPUs of one
// core count as one: they do not compute twice as much.
func (m machine) threads(sets [][]int, seat nexus.Seat) []int {
	list := make([]int, len(sets))
	for i, set := range sets {
		mates := 0
		for _, other := range sets {
			if slices.ContainsFunc(other, func(n int) bool { return slices.Contains(set, n) }) {
				mates++
			}
		}
		list[i] = max(1, m.cores(set)/max(1, mates))
		if seat.CPU > 0 {
			list[i] = min(list[i], threads(seat))
		}
	}
	return list
}

// cores is how many cores CPUs belong to.
func (m machine) cores(set []int) int {
	type core struct{ node, socket, number int }
	seen := map[core]bool{}
	for _, c := range m.cpus {
		if slices.Contains(set, c.number) {
			at := core{c.node, c.socket, c.core}
			if c.core < 0 { // not said: each is taken for one
				at.number = -1 - c.number
			}
			seen[at] = true
		}
	}
	return len(seen)
}

// Threads says what [Run] will set OMP_NUM_THREADS to and why, in a sentence; empty where the choice is not its own, where a lone
// worker has all CPUs, and where the binding cannot be had, which Run says.
func Threads(o Options) string {
	if _, set := valueOf(o.Env, ompThreads); set {
		return ""
	}
	seat := nexus.Seat{Workers: max(1, o.Workers), CPU: nexus.CPU(o.CPUs) * 1000}
	if o.Binding == bindNothing {
		return sharedThreads(seat)
	}
	visible, set := valueOf(o.Env, "CUDA_VISIBLE_DEVICES")
	_, list, err := o.Binding.of(seat, visible, set)
	if err != nil {
		return ""
	}
	least, most := slices.Min(list), slices.Max(list)
	if least == most {
		return fmt.Sprintf("%s is %d for %s, by the cores that it is bound to; set it to choose", ompThreads, most, eachOf(seat.Workers))
	}
	return fmt.Sprintf("%s is %d to %d for %s, by the cores that it is bound to; set it to choose", ompThreads, least, most, eachOf(seat.Workers))
}

// sharedThreads is the sentence for workers that share the seat's CPUs; empty for a lone one.
func sharedThreads(seat nexus.Seat) string {
	if seat.Workers < 2 {
		return ""
	}
	return fmt.Sprintf("%s is %d for %s, who share %s; set it to choose", ompThreads, threads(seat), eachOf(seat.Workers), times(max(1, int(seat.CPU)/1000), "CPU", "CPUs"))
}

func eachOf(workers int) string {
	if workers == 1 {
		return "the worker"
	}
	return fmt.Sprintf("each of the %d workers", workers)
}

// of are the CPUs of each worker on this machine, and how many threads it is to compute with.
func (b Binding) of(seat nexus.Seat, visible string, set bool) (sets [][]int, list []int, err error) {
	m := thisMachine()
	sets, err = m.bind(b, seat.Workers, visibleGPUs(visible, set, len(m.gpus)))
	if err != nil {
		return nil, nil, err
	}
	return sets, m.threads(sets, seat), nil
}
