package policy

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"ainexus.io/nexus"
)

func TestPricesOfShares(t *testing.T) {
	for _, c := range []struct {
		why    string
		shares []share
		want   []float64
	}{
		{"nobody asks for less than a device", nil, nil},
		{"two halves", []share{{500, 10}}, []float64{0.5}},
		{"nothing goes beside 0.81", []share{{810, 10}}, []float64{1}},
		{"few fillers are free", []share{{810, 10}, {160, 3}}, []float64{1, 0}},
		{"many fillers are not", []share{{810, 10}, {160, 300}}, []float64{5. / 6, 1. / 6}},
		{"more small than large: the small one sets the price", []share{{650, 10}, {320, 100}}, []float64{2. / 3, 1. / 3}},
		{"fewer small than large: the large one does", []share{{650, 100}, {320, 10}}, []float64{1, 0}},
	} {
		for i, got := range prices(c.shares) {
			if math.Abs(got-c.want[i]) > 1e-9 {
				t.Errorf("%s: price of %d is %.4f, want %.4f", c.why, c.shares[i].parts, got, c.want[i])
			}
		}
	}
}

// The prices are the optimum of the dual: no pattern is worth more than a device, which a search of all
// patterns shows, and no packing needs fewer devices than the shares cost, while some needs hardly more.
func TestPricesAreTheDual(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var shares []share
		used := map[int]bool{}
		for range rapid.IntRange(1, 6).Draw(t, "sizes") {
			if p := rapid.IntRange(90, 999).Draw(t, "parts"); !used[p] {
				used[p] = true
				shares = append(shares, share{p, float64(rapid.IntRange(1, 40).Draw(t, "count"))})
			}
		}
		price := prices(shares)
		if worst := dearest(shares, price, 0, 1000); worst > 1+1e-6 {
			t.Fatalf("a pattern is worth %.6f of a device at prices %v of %v", worst, price, shares)
		}
		cost, area := 0.0, 0.0
		for i, s := range shares {
			cost += price[i] * s.count
			area += float64(s.parts) * s.count / 1000
		}
		if first := firstFit(shares); cost < area-1e-6 || cost > first+1e-6 {
			t.Fatalf("shares cost %.3f devices, but fill %.3f and fit into %.0f", cost, area, first)
		}
	})
}

// dearest is what the dearest pattern is worth that fits, tried one by one.
func dearest(shares []share, price []float64, from, room int) (best float64) {
	for i := from; i < len(shares); i++ {
		if shares[i].parts <= room {
			best = max(best, price[i]+dearest(shares, price, i, room-shares[i].parts))
		}
	}
	return best
}

// firstFit is how many devices it takes to put each share where it first fits.
func firstFit(shares []share) float64 {
	var room []int
	for _, s := range shares {
	next:
		for range int(s.count) {
			for i := range room {
				if room[i] >= s.parts {
					room[i] -= s.parts
					continue next
				}
			}
			room = append(room, 1000-s.parts)
		}
	}
	return float64(len(room))
}

func TestSizeOfShares(t *testing.T) {
	for _, c := range []struct {
		share, total nexus.MiB
		want         int
	}{{5120, 15360, 333}, {8160, 81559, 101}, {470, 1000, 470}, {501, 1001, 501}, {1, 81559, 1}, {40960, 81920, 500}} {
		if got := size(c.share, c.total); got != c.want {
			t.Errorf("%d of %d MiB is %d thousandths, want %d", c.share, c.total, got, c.want)
		}
	}
}
