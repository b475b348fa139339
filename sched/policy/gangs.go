package policy

import "ainexus.io/nexus"

// gangs says how many idle devices of a node serve the expected requests for several at once: by idle
// devices, by steps of free processor time, each request weighted by what it asks of the nodes that could
// host it. To break up the last whole nodes costs much where many such jobs come, and little where few do.
type gangs struct {
	step  nexus.CPU
	table [][]float64
}

func newGangs(mix []Demand, supply []Supply) gangs {
	largest := Supply{CPU: 1, GPUs: 1}
	var devices float64
	for i := range supply {
		largest.CPU, largest.GPUs = max(largest.CPU, supply[i].CPU), max(largest.GPUs, supply[i].GPUs)
		devices += float64(int64(supply[i].GPUs) * supply[i].Count)
	}
	g := gangs{step: max(1, (largest.CPU+resolution-1)/resolution), table: make([][]float64, largest.GPUs+1)}
	for h := range g.table {
		g.table[h] = make([]float64, largest.CPU/g.step+2)
	}
	asked := deviceDemand(mix, supply)
	for i := range mix {
		d := &mix[i]
		hosts := hosting(supply, &d.Request)
		if d.GPUs < 2 || hosts == 0 {
			continue
		}
		often := min(1, float64(d.GPUs)*float64(d.Count)/asked*devices/hosts)
		often *= float64(d.Count) / (float64(d.Count) + rarity)
		for h := d.GPUs; h < len(g.table); h++ {
			for c := range g.table[h] {
				n := min(h/d.GPUs, int(nexus.CPU(c)*g.step/max(1, d.CPU)))
				g.table[h][c] += float64(often * float64(n*d.GPUs))
			}
		}
	}
	return g
}

// hosting is how many devices of the supply could serve the request at once.
func hosting(supply []Supply, r *Request) float64 {
	var sum int64
	for i := range supply {
		s := &supply[i]
		if r.GPUs > 0 && (r.Models == 0 || r.Models>>s.Model&1 == 1) {
			n := min(int64(s.GPUs/r.GPUs), int64(s.CPU/max(1, r.CPU)), int64(s.Memory/max(1, r.Memory)))
			sum += n * int64(r.GPUs) * s.Count
		}
	}
	return float64(sum)
}

// at is the worth of that many idle devices.
func (g gangs) at(cpu nexus.CPU, idle int) float64 {
	row := g.table[min(idle, len(g.table)-1)]
	return row[min(int(max(0, cpu)/g.step), len(row)-1)]
}

// deviceDemand is how many devices the mix asks for in all, shares in parts of the supply's mean device.
func deviceDemand(mix []Demand, supply []Supply) (sum float64) {
	mean := meanDevice(supply)
	for i := range mix {
		sum += float64(float64(mix[i].Count) * (float64(mix[i].GPUs) + float64(mix[i].Share)/mean))
	}
	return sum
}

// meanDevice is the memory of the supply's mean device; a thousand where it has none.
func meanDevice(supply []Supply) float64 {
	var memory, devices int64
	for i := range supply {
		n := int64(supply[i].GPUs) * supply[i].Count
		memory += int64(supply[i].Device) * n
		devices += n
	}
	if memory == 0 {
		return 1000
	}
	return float64(memory) / float64(devices)
}
