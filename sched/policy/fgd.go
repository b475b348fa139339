package policy

import (
	"cmp"
	"math"
	"slices"

	"ainexus.io/nexus"
)

// FGD is fragmentation gradient descent as Weng et al. published it (USENIX ATC'23): a node's score is what
// the placement does to the fragmentation that the popular requests would find there, squeezed through a
// sigmoid and cut to an integer of 0..100. The cut is part of the published result: it makes most nodes
// equal, and the smallest name wins.
type FGD struct {
	popular []fragment
	total   int64
	steps   [101]float64 // steps[k] is the least improvement that is worth k
}

// fragment is a popular request, memory left out as in the publication.
type fragment struct {
	cpu    nexus.CPU
	parts  int64 // thousandths of each device
	gpus   int   // devices
	models uint64
	count  int64
}

// NewFGD takes the most popular requests of the mix that make up 95 % of it, shares as parts of the supply's
// mean device.
func NewFGD(mix []Demand, supply []Supply) *FGD {
	f, mean := &FGD{}, meanDevice(supply)
	for k := range f.steps {
		f.steps[k] = math.Log(float64(k) / float64(100-k)) // -Inf for 0, +Inf for 100
	}
	kinds := map[fragment]int64{}
	var all int64
	for i := range mix {
		k := fragment{cpu: mix[i].CPU, parts: 1000, gpus: mix[i].GPUs, models: mix[i].Models}
		switch {
		case mix[i].Share > 0:
			k.parts, k.gpus = min(1000, int64(math.Ceil(float64(mix[i].Share)*1000/mean))), 1
		case mix[i].GPUs == 0:
			k.parts = 0
		}
		kinds[k] += mix[i].Count
		all += mix[i].Count
	}
	for k, n := range kinds {
		k.count = n
		f.popular = append(f.popular, k)
	}
	slices.SortFunc(f.popular, func(a, b fragment) int {
		return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(b.cpu, a.cpu), cmp.Compare(b.parts, a.parts),
			cmp.Compare(b.gpus, a.gpus), cmp.Compare(b.models, a.models))
	})
	for i := range f.popular {
		if f.total*100 >= all*95 {
			f.popular = f.popular[:i]
			break
		}
		f.total += f.popular[i].count
	}
	return f
}

// Score implements [Scorer].
func (f *FGD) Score(s *Site, r *Request) (int64, int) {
	var free [maxDevices]int64
	n := parts(s, &free)
	before := f.fragmented(s.CPU, s.Model, free[:n])
	if r.Share == 0 {
		left := r.GPUs
		for i := 0; i < n && left > 0; i++ {
			if free[i] == 1000 {
				free[i] = 0
				left--
			}
		}
		return f.squeeze(before - f.fragmented(s.CPU-r.CPU, s.Model, free[:n])), -1
	}
	best, device := int64(-1), -1
	for i := range n {
		if s.GPUs[i].Free < r.Share {
			continue
		}
		was := free[i]
		free[i] -= partsOf(r.Share, s.GPUs[i].Total)
		if score := f.squeeze(before - f.fragmented(s.CPU-r.CPU, s.Model, free[:n])); score > best {
			best, device = score, i
		}
		free[i] = was
	}
	return best, device
}

// fragmented is how many thousandths of devices the popular requests could not use, times their number.
func (f *FGD) fragmented(cpu nexus.CPU, model int, free []int64) int64 {
	var all, sum int64
	for _, x := range free {
		all += x
	}
	for i := range f.popular {
		p := &f.popular[i]
		if p.gpus == 0 || cpu < p.cpu || p.models != 0 && p.models>>model&1 == 0 {
			sum += p.count * all
			continue
		}
		hosts, useless := 0, int64(0)
		for _, x := range free {
			if x >= p.parts {
				hosts++
			} else {
				useless += x
			}
		}
		if hosts < p.gpus {
			useless = all
		}
		sum += p.count * useless
	}
	return sum
}

// squeeze is floor(100 * sigmoid(improvement in devices)).
func (f *FGD) squeeze(improvement int64) int64 {
	x := float64(improvement) / float64(1000*max(1, f.total))
	k, _ := slices.BinarySearchFunc(f.steps[:], x, func(step, x float64) int {
		if step <= x {
			return -1
		}
		return 1
	})
	return int64(k - 1)
}
