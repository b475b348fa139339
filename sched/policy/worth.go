package policy

import (
	"math"
	"slices"

	"ainexus.io/nexus"
)

// Worth ranks nodes by what they stay worth: how many devices the expected jobs could still use there,
// after the placement less before. It is the default. What a node is worth is made of tables that are
// computed once per mix and supply:
//
//   - [holes]: what the free part of a device is worth, by the dual prices of the linear program that cuts
//     devices into the expected shares with the least waste (patterns.go);
//   - [usable]: how many of so many devices the expected jobs could use before the processor time runs
//     out, so that jobs which need little go where little is left (usable.go);
//   - [gangs]: how many devices stay together for jobs that want several, as far as such are expected and
//     few nodes could host them (gangs.go);
//   - [scarcity]: what a device of the model costs those who can use no other (scarce.go).
//
// Between nodes that are equal in that, the fuller one wins.
//
// The constants below are the only ones; everything else follows from mix and supply. They were chosen for
// all nine pod lists of the public openb trace together (seeds 42 to 47), in the middle of a plateau: with
// any one of them halved or doubled the mean over the lists moves by less than 0.06 % of the cluster
// (patience: 0.6 costs 0.04 %, 0.4 costs 0.15 %, 0.9 costs 0.05 %). Half of the cluster, a third of it, a
// model taken out, lists mixed of two, and lists with other shares and needs were run to check, not to
// choose.
type Worth struct {
	kinds  []kind
	byKind [64][]int // the kinds of a model, as indices of kinds
	gangs  gangs
	scarce [64]float64

	perPart, perCPU float64 // the price of what stays free, per thousandth of a device and of a CPU
}

const (
	patience    = 0.8  // how surely a device that does not suit the next job waits for a later one
	gangWeight  = 0.05 // devices that stay together for a gang, against devices
	rarity      = 1.0  // a request of a gang that was seen n times counts n / (n + rarity)
	fitDevices  = 0.02 // an empty node's devices, the largest node's
	fitCPU      = 0.05 // an empty node's processor time, the largest node's
	pseudoNeeds = 9.0  // how many devices are believed in before any job is seen
	pseudoJobs  = 30.0 // how many jobs, each bound to a model, are believed before any is seen
	resolution  = 512  // steps of processor time in the tables
	scoreOfUnit = 1e6  // the score of one device
)

// kind is a model of device with one size of memory.
type kind struct {
	total  nexus.MiB
	holes  holes
	usable usable
	mix    []Demand // what it was made for
}

// NewWorth computes the tables: some ten milliseconds for a mix of hundreds of requests, as often as models
// of devices can serve different parts of it.
func NewWorth(mix []Demand, supply []Supply) *Worth {
	w := &Worth{gangs: newGangs(mix, supply), scarce: scarcity(mix, supply)}
	largest := Supply{CPU: 1, GPUs: 1}
	var cpu nexus.CPU
	var devices int64
	for i := range supply {
		if supply[i].GPUs > 0 {
			cpu += supply[i].CPU * nexus.CPU(supply[i].Count)
			devices += int64(supply[i].GPUs) * supply[i].Count
		}
		largest.CPU, largest.GPUs = max(largest.CPU, supply[i].CPU), max(largest.GPUs, supply[i].GPUs)
	}
	perDevice := cpu / nexus.CPU(max(1, devices))
	w.perPart, w.perCPU = fitDevices/float64(1000*largest.GPUs), fitCPU/float64(largest.CPU)
	for i := range supply {
		s := &supply[i]
		if s.GPUs == 0 || w.kindOf(s.Model, s.Device, true) != nil {
			continue
		}
		mine := suitable(mix, s)
		w.byKind[s.Model&63] = append(w.byKind[s.Model&63], len(w.kinds))
		if i := slices.IndexFunc(w.kinds, func(k kind) bool { return k.total == s.Device && slices.Equal(k.mix, mine) }); i >= 0 {
			w.kinds = append(w.kinds, w.kinds[i])
			continue
		}
		h, price := newHoles(mine, s.Device)
		w.kinds = append(w.kinds, kind{s.Device, h, newUsable(mine, s.Device, price, largest, perDevice), mine})
	}
	return w
}

// suitable are the demands that devices of that supply can serve.
func suitable(mix []Demand, s *Supply) []Demand {
	out := make([]Demand, 0, len(mix))
	for i := range mix {
		if mix[i].Models == 0 || mix[i].Models>>s.Model&1 == 1 {
			out = append(out, mix[i])
		}
	}
	return out
}

// kindOf finds the tables for a device: those of the model with the nearest size of memory, or exactly it.
func (w *Worth) kindOf(model int, total nexus.MiB, exactly bool) *kind {
	var best *kind
	for _, i := range w.byKind[model&63] {
		k := &w.kinds[i]
		if k.total == total {
			return k
		}
		if best == nil || max(k.total-total, total-k.total) < max(best.total-total, total-best.total) {
			best = k
		}
	}
	if exactly {
		return nil
	}
	return best
}

// kindAt is the kind of the site's first well device; nil where it has none or its model is new.
func (w *Worth) kindAt(s *Site) *kind {
	for i := range s.GPUs {
		if s.GPUs[i].Total > 0 {
			return w.kindOf(s.Model, s.GPUs[i].Total, false)
		}
	}
	return nil
}

// Score implements [Scorer].
func (w *Worth) Score(s *Site, r *Request) (int64, int) {
	var room [maxDevices]int64
	free := room[:parts(s, &room)]
	k := w.kindAt(s)
	var sum int64
	for _, x := range free {
		sum += x
	}
	left := s.CPU - r.CPU
	base := w.worth(k, s.CPU, free) + float64(w.perCPU*float64(left)) + float64(w.perPart*float64(sum))
	if r.Share == 0 {
		for i, n := 0, r.GPUs; i < len(free) && n > 0; i++ {
			if free[i] == 1000 {
				free[i] = 0
				n--
			}
		}
		return points(w.worth(k, left, free) - base - w.price(s, int64(r.GPUs)*1000)), -1
	}
	best, device := math.Inf(-1), -1
	for i, was := range free {
		if s.GPUs[i].Free < r.Share || device >= 0 && seen(free[:i], was) {
			continue
		}
		free[i] = partsOf(s.GPUs[i].Free-r.Share, s.GPUs[i].Total)
		v := w.worth(k, left, free) - base - w.price(s, was-free[i])
		free[i] = was
		if v > best || v == best && was < free[device] {
			best, device = v, i
		}
	}
	return points(best), device
}

// price is what taking so many thousandths of the site's devices costs those who need that model, less
// what it is worth to leave less free.
func (w *Worth) price(s *Site, taken int64) float64 {
	return float64(float64(taken)*w.scarce[s.Model&63])/1000 - float64(w.perPart*float64(taken))
}

// worth is how many devices the expected jobs could still use on a node with that left.
func (w *Worth) worth(k *kind, cpu nexus.CPU, free []int64) float64 {
	if k == nil {
		return 0
	}
	fill, idle := 0.0, 0
	for _, x := range free {
		fill += k.holes[x]
		if x == 1000 {
			idle++
		}
	}
	return k.usable.at(cpu, fill) + float64(gangWeight*w.gangs.at(cpu, idle))
}

// points turns devices into a score.
func points(devices float64) int64 { return int64(math.Round(float64(devices * scoreOfUnit))) }

// seen reports whether an earlier device has just as much free: then it is as good.
func seen(earlier []int64, free int64) bool {
	for _, x := range earlier {
		if x == free {
			return true
		}
	}
	return false
}
