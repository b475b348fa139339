package sampler

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
)

// Options say how a data set is dealt out.
type Options struct {
	Rank      int    // this rank, from 0
	WorldSize int    // number of ranks; 0 means 1
	Shuffle   bool   // false: sequential, the order of the data set
	Seed      uint64 // of the shuffles; the same on all ranks
	DropLast  bool   // drop what cannot be dealt evenly instead of repeating the beginning
}

// Sampler deals out the samples 0..n-1.
type Sampler struct {
	n    int
	opts Options
}

// New returns a sampler for a data set of n samples.
func New(n int, opts Options) (*Sampler, error) {
	if opts.WorldSize == 0 {
		opts.WorldSize = 1
	}
	if n < 0 || opts.WorldSize < 1 || opts.Rank < 0 || opts.Rank >= opts.WorldSize {
		return nil, fmt.Errorf("sampling %d samples: there is no rank %d among %d", n, opts.Rank, opts.WorldSize)
	}
	return &Sampler{n: n, opts: opts}, nil
}

// Len is how many samples each rank gets in an epoch; all get the same number.
func (s *Sampler) Len() int { return s.share(s.n) }

// share is how many of n samples each rank gets.
func (s *Sampler) share(n int) int {
	if s.opts.DropLast {
		return n / s.opts.WorldSize
	}
	return (n + s.opts.WorldSize - 1) / s.opts.WorldSize
}

// Indices returns this rank's samples of an epoch, Len of them.
func (s *Sampler) Indices(epoch int) []int { return s.From(epoch, 0) }

// From returns what is left for this rank of an epoch of which all ranks together have used the first `used` samples, at
// this or any other world size. From(e, k*WorldSize) is Indices(e)[k:].
func (s *Sampler) From(epoch, used int) []int {
	left := max(s.n-max(used, 0), 0)
	order := s.order(epoch)
	indices := make([]int, s.share(left))
	for i := range indices {
		// Past the end the order begins anew, as often as it takes.
		indices[i] = order[(s.n-left+s.opts.Rank+i*s.opts.WorldSize)%s.n]
	}
	return indices
}

// order is the epoch's order of the whole data set, the same on every rank.
func (s *Sampler) order(epoch int) []int {
	order := make([]int, s.n)
	for i := range order {
		order[i] = i
	}
	if !s.opts.Shuffle {
		return order
	}
	random := rand.NewPCG(s.opts.Seed, uint64(epoch))
	for i := len(order) - 1; i > 0; i-- {
		j := below(random, uint64(i+1))
		order[i], order[j] = order[j], order[i]
	}
	return order
}

// below draws a number in [0, n), each with the same chance (Lemire's method).
func below(random *rand.PCG, n uint64) uint64 {
	hi, lo := bits.Mul64(random.Uint64(), n)
	if lo < n {
		for limit := -n % n; lo < limit; {
			hi, lo = bits.Mul64(random.Uint64(), n)
		}
	}
	return hi
}
