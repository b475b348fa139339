package policy

import "ainexus.io/nexus"

// holes is what so many free thousandths of a device are worth, in devices: the most that shares are worth
// which fit there. 0.19 beside a share of 0.81 is worth nothing where nothing is small enough for it; 0.53
// is worth 1/2 where shares of 0.47 come in plenty.
type holes [1001]float64

// newHoles also gives the price of each size of share, by its thousandths.
func newHoles(mix []Demand, total nexus.MiB) (h holes, price map[int]float64) {
	shares := sizes(mix, total)
	each := prices(shares)
	fillings(shares, each, h[:], make([]int, len(h)))
	for x := range h {
		h[x] = min(1, h[x])
	}
	h[1000] = 1
	price = make(map[int]float64, len(shares))
	for i := range shares {
		price[shares[i].parts] = each[i]
	}
	return h, price
}
