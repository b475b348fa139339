package collective

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Tree and ring are what the algorithms believe they are, for any size.
func TestTopology(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(2, 300).Draw(t, "size")
		parents := 0
		for rank := range size {
			links := neighbours(rank, size)
			for _, child := range children(rank, size) {
				parents++
				if parent(child) != rank || child <= rank {
					t.Fatalf("%d is a child of %d, its parent is %d", child, rank, parent(child))
				}
			}
			for _, peer := range links {
				if peer == rank || !slices.Contains(neighbours(peer, size), rank) {
					t.Fatalf("%d has a link to %d, not the other way round", rank, peer)
				}
			}
			target := rapid.IntRange(0, size-1).Draw(t, "target")
			steps := 0
			for at := rank; at != target; steps++ {
				next := hop(at, target, size)
				if !slices.Contains(neighbours(at, size), next) || steps > 20 {
					t.Fatalf("from %d to %d: no way on at %d", rank, target, at)
				}
				at = next
			}
		}
		if parents != size-1 {
			t.Fatalf("%d ranks have %d parents", size, parents)
		}
		dead := rapid.IntRange(0, size-1).Draw(t, "dead")
		if got := reach((dead+1)%size, dead, size); got != size-1 {
			t.Fatalf("without %d of %d, news reaches %d ranks", dead, size, got)
		}
	})
}

// reach counts the ranks that news from one rank gets to when another is dead.
func reach(from, dead, size int) int {
	seen := map[int]bool{from: true}
	for queue := []int{from}; len(queue) > 0; queue = queue[1:] {
		for _, peer := range neighbours(queue[0], size) {
			if peer != dead && !seen[peer] {
				seen[peer] = true
				queue = append(queue, peer)
			}
		}
	}
	return len(seen)
}

// Parts cover the whole, in order, and differ by one element at most.
func TestSpansCover(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, size := rapid.IntRange(0, 1000).Draw(t, "n"), rapid.IntRange(1, 50).Draw(t, "size")
		at := 0
		for i := range size {
			lo, hi := span(n, size, i)
			if lo != at || hi-lo < n/size || hi-lo > n/size+1 {
				t.Fatalf("part %d of %d is [%d, %d)", i, n, lo, hi)
			}
			at = hi
		}
		if at != n {
			t.Fatalf("the parts end at %d, not %d", at, n)
		}
	})
}
