package policy

import (
	"math"

	"ainexus.io/nexus"
)

// usable says how many devices of a node jobs could use before its processor time runs out: by free
// devices, by steps of free processor time. Jobs come at random from the mix; one that does not fit leaves
// the place to a later one with the probability [patience].
type usable struct {
	step  nexus.CPU
	table [][]float64
}

// need is the processor time, in steps, that goes with one device, and how often that is asked.
type need struct {
	steps int
	often float64
}

func newUsable(mix []Demand, total nexus.MiB, price map[int]float64, largest Supply, perDevice nexus.CPU) usable {
	u := usable{step: max(1, (largest.CPU+resolution-1)/resolution)}
	needs := u.needs(mix, total, price, perDevice)
	u.table = make([][]float64, largest.GPUs+1)
	for g := range u.table {
		u.table[g] = make([]float64, largest.CPU/u.step+2)
		for c := range u.table[g] {
			if g == 0 {
				continue
			}
			var fits, sum float64
			for _, n := range needs {
				if n.steps <= c {
					fits += n.often
					sum += float64(n.often * (1 + u.table[g-1][c-n.steps]))
				}
			}
			if fits > 0 {
				u.table[g][c] = sum / (1 - float64(patience*(1-fits)))
			}
			if c > 0 {
				u.table[g][c] = max(u.table[g][c], u.table[g][c-1])
			}
		}
	}
	return u
}

// needs weighs each demand by the devices that it asks for. A share counts as the part of a device that it
// costs, with its processor time scaled up to a whole one: shares that cost nothing need no device.
//
// A few whole devices are believed in before any job is seen, with a quarter, a half and all of the
// processor time that the supply has for each.
func (u usable) needs(mix []Demand, total nexus.MiB, price map[int]float64, perDevice nexus.CPU) []need {
	var out []need
	var all float64
	for _, part := range []nexus.CPU{4, 2, 1} {
		out = append(out, need{int((perDevice/part + u.step - 1) / u.step), pseudoNeeds / 3})
		all += pseudoNeeds / 3
	}
	for i := range mix {
		d, devices := &mix[i], float64(mix[i].GPUs)
		if d.Share > 0 && d.Share < total {
			devices = price[size(d.Share, total)]
		}
		if devices < 1e-6 {
			continue
		}
		steps := math.Ceil(float64(d.CPU) / devices / float64(u.step))
		out = append(out, need{int(min(steps, 1<<20)), devices * float64(d.Count)})
		all += float64(devices * float64(d.Count))
	}
	for i := range out {
		out[i].often /= all
	}
	return out
}

// at is how many devices are usable where that much of them is free.
func (u usable) at(cpu nexus.CPU, devices float64) float64 {
	g := min(int(devices), len(u.table)-1)
	c := min(int(max(0, cpu)/u.step), len(u.table[g])-1)
	v := u.table[g][c]
	if part := devices - float64(g); part > 0 && g+1 < len(u.table) {
		v += float64(part * (u.table[g+1][c] - v))
	}
	return v
}
