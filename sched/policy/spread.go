package policy

import "ainexus.io/nexus"

const (
	// fresh is what a new observation counts.
	fresh = 1000
	// buckets is how many sizes are told apart: up to 2^30.
	buckets = 60
)

// bound is the least size of a bucket: 0, 1, 1.41, 2, 2.83 ... 2^(n/2). Small odd ones are rounded down.
func bound(bucket int) int64 {
	if bucket <= 0 {
		return 0
	}
	power := int64(1) << ((bucket - 1) / 2)
	if bucket%2 == 0 {
		return power * 181 / 128
	}
	return power
}

// bucketOf is the bucket of a size.
func bucketOf(size int64) int {
	b := 0
	for b+1 < buckets && size >= bound(b+1) {
		b++
	}
	return b
}

// observe adds a size to a sketch and lets the older ones fade by 1/memory.
func observe(s *nexus.Sketch, size, memory int64) {
	var dense [buckets]int64
	copy(dense[s.From:], s.Counts)
	for i := range dense {
		dense[i] -= (dense[i] + memory - 1) / memory
	}
	dense[bucketOf(size)] += fresh
	from, to := 0, buckets
	for dense[from] == 0 {
		from++
	}
	for dense[to-1] == 0 {
		to--
	}
	s.From, s.Counts = from, append([]int64(nil), dense[from:to]...)
}

// spread is a distribution of sizes: what a sketch says, filled up with what is known of its like.
type spread [buckets]int64

// blend is the spread of a sketch on top of `like`, which counts as much as `weight` observations.
func blend(s *nexus.Sketch, like *spread, weight int64) *spread {
	var sum spread
	if total := like.above(0); total > 0 {
		for i, n := range like {
			sum[i] = n * weight * fresh / total
		}
	}
	if s != nil {
		for i, n := range s.Counts {
			sum[s.From+i] += n
		}
	}
	return &sum
}

// above is how much weight lies above a size; within a bucket the weight is spread evenly.
func (s *spread) above(size int64) int64 {
	var sum int64
	b := bucketOf(size)
	for _, n := range s[b+1:] {
		sum += n
	}
	if b+1 < buckets {
		low, high := bound(b), bound(b+1)
		sum += s[b] * (high - size) / (high - low)
	}
	return sum
}

// quantile is the size that so many thousandths of the weight above `least` lie below.
func (s *spread) quantile(thousandths, least int64) int64 {
	rest := s.above(least) * (1000 - thousandths) / 1000 // weight that has to lie above the answer
	for b := buckets - 1; b > 0; b-- {
		if s[b] == 0 {
			continue
		}
		if rest < s[b] {
			low, high := bound(b), bound(min(b+1, buckets-1))
			return max(least, high-(high-low)*rest/s[b])
		}
		rest -= s[b]
	}
	return max(least, 1)
}

// mean is the mean of the sizes above `least`, none counted as more than `limit`.
func (s *spread) mean(least, limit int64) int64 {
	var sum, weight int64
	for b, n := range s {
		if n == 0 || b+1 < buckets && bound(b+1) <= least {
			continue
		}
		low, high := bound(b), bound(min(b+1, buckets-1))
		if low < least {
			n, low = n*(high-least)/max(1, high-low), least
		}
		sum += n * min((low+high)/2, max(limit, least))
		weight += n
	}
	if weight == 0 {
		return least
	}
	return sum / weight
}
