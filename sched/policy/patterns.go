package policy

import (
	"cmp"
	"slices"

	"ainexus.io/nexus"
)

// share is a size that jobs ask of one device, in thousandths, with its weight.
type share struct {
	parts int
	count float64
}

// prices solves the linear program of cutting devices into shares: the fewest devices that hold the
// expected shares, each device cut in one of all patterns that fit. It gives what one share of each size
// costs then, in devices: the dual prices, by which no pattern is worth more than the one device it uses.
// 0.81 costs 1 where nothing goes beside it, 0.47 costs 1/2, a size that fills holes for free costs 0.
//
// It generates columns: the patterns at hand give prices, the prices give the best new pattern by dynamic
// programming over the thousandths, until none is worth more than a device.
func prices(shares []share) []float64 {
	m := len(shares)
	price := make([]float64, m)
	if m == 0 {
		return price
	}
	// One row per size, one basic column per row: as many of that size as fit, and a unit inverse of it.
	inverse, have := make([][]float64, m), make([]float64, m)
	for i, s := range shares {
		fit := float64(1000 / s.parts)
		inverse[i] = make([]float64, m)
		inverse[i][i], have[i] = 1/fit, s.count/fit
	}
	worth, last := make([]float64, 1001), make([]int, 1001)
	column, moved := make([]float64, m), make([]float64, m)
	for range 40 * m {
		for j := range m { // the duals: one row of ones times the inverse
			price[j] = 0
			for i := range m {
				price[j] += inverse[i][j]
			}
		}
		if fillings(shares, price, worth, last) <= 1+1e-9 {
			break
		}
		clear(column)
		for x := 1000; x > 0 && last[x] >= 0; x -= shares[last[x]].parts {
			column[last[x]]++
		}
		leave := -1
		for i := range m {
			moved[i] = 0
			for j := range m {
				moved[i] += float64(inverse[i][j] * column[j])
			}
			if moved[i] > 1e-9 && (leave < 0 || have[i]*moved[leave] < have[leave]*moved[i]) {
				leave = i
			}
		}
		if leave < 0 {
			break
		}
		pivot(inverse, have, moved, leave)
	}
	for j := range price {
		price[j] = min(1, max(0, price[j]))
	}
	return price
}

// pivot brings the column whose image is moved into the basis in place of row leave.
func pivot(inverse [][]float64, have, moved []float64, leave int) {
	for j := range inverse[leave] {
		inverse[leave][j] /= moved[leave]
	}
	have[leave] /= moved[leave]
	for i := range inverse {
		if i == leave || moved[i] == 0 {
			continue
		}
		for j := range inverse[i] {
			inverse[i][j] -= float64(moved[i] * inverse[leave][j])
		}
		have[i] = max(0, have[i]-float64(moved[i]*have[leave]))
	}
}

// fillings writes into worth the most that shares are worth that fit into each number of thousandths, and
// into last a share of such a filling (-1: none). It returns what a whole device is worth.
func fillings(shares []share, price, worth []float64, last []int) float64 {
	worth[0], last[0] = 0, -1
	for x := 1; x <= 1000; x++ {
		worth[x], last[x] = worth[x-1], last[x-1]
		for j, s := range shares {
			if s.parts <= x && worth[x-s.parts]+price[j] > worth[x]+1e-12 {
				worth[x], last[x] = worth[x-s.parts]+price[j], j
			}
		}
		if last[x] >= 0 && x > 0 && worth[x] == worth[x-1] {
			last[x] = last[x-1]
		}
	}
	return worth[1000]
}

// sizes are the shares of the mix in thousandths of a device of that total, equal ones together.
func sizes(mix []Demand, total nexus.MiB) []share {
	counts := map[int]float64{}
	for i := range mix {
		if s := mix[i].Share; s > 0 && s < total {
			counts[size(s, total)] += float64(mix[i].Count)
		}
	}
	var out []share
	for parts, n := range counts {
		out = append(out, share{parts, n})
	}
	slices.SortFunc(out, func(a, b share) int { return cmp.Compare(b.parts, a.parts) })
	return out
}

// size is a share in thousandths of a device, rounded up unless fewer would fit into a device then: three
// thirds do.
func size(share, total nexus.MiB) int {
	up := int((share*1000 + total - 1) / total)
	if int64(1000/up) < int64(total/share) {
		return max(1, up-1)
	}
	return up
}
