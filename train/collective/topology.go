package collective

import (
	"math/bits"
	"slices"
)

// parent returns a rank's parent in the binomial tree over ranks, which is rooted at 0.
func parent(rank int) int { return rank & (rank - 1) }

// children returns a rank's children in the binomial tree, nearest first.
func children(rank, size int) []int {
	width := bits.Len(uint(size))
	if rank > 0 {
		width = bits.TrailingZeros(uint(rank))
	}
	var list []int
	for k := range width {
		if child := rank | 1<<k; child != rank && child < size {
			list = append(list, child)
		}
	}
	return list
}

// neighbours returns the ranks that a rank is linked to, in rising order: its places in ring and tree. Without any
// one rank the rest stay connected, which is what news of a death travels on.
func neighbours(rank, size int) []int {
	if size < 2 {
		return nil
	}
	list := append(children(rank, size), (rank+1)%size, (rank+size-1)%size)
	if rank > 0 {
		list = append(list, parent(rank))
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// hop returns the neighbour on the way from rank to target in the tree.
func hop(rank, target, size int) int {
	for at := target; at > 0; at = parent(at) {
		if parent(at) == rank {
			return at
		}
	}
	return parent(rank)
}

// span cuts n elements into size parts as even as can be and returns part i as [lo, hi).
func span(n, size, i int) (lo, hi int) {
	part, rest := n/size, n%size
	lo = i*part + min(i, rest)
	hi = lo + part
	if i < rest {
		hi++
	}
	return lo, hi
}
