package collective

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// value is what rank holds at place i: small whole numbers, whose sums are exact in any order.
func value(rank, i int) float64 { return float64((rank*31+i*7)%23 - 11) }

// expected is the dumb twin of a reduction.
func expected(size, i int, op Op) float64 {
	want := value(0, i)
	for rank := 1; rank < size; rank++ {
		switch op {
		case Min:
			want = min(want, value(rank, i))
		case Max:
			want = max(want, value(rank, i))
		default:
			want += value(rank, i)
		}
	}
	if op == Mean {
		want /= float64(size)
	}
	return want
}

func checkAll[T Float](g *Group, n int, op Op) error {
	data := make([]T, n)
	for i := range data {
		data[i] = T(value(g.Rank(), i))
	}
	if err := AllReduce(g, data, op); err != nil {
		return err
	}
	for i, got := range data {
		if want := T(expected(g.Size(), i, op)); got != want {
			return differ("%v of %d on rank %d: element %d is %v, not %v", op, n, g.Rank(), i, got, want)
		}
	}

	src, part := make([]T, n*g.Size()), make([]T, n)
	for i := range src {
		src[i] = T(value(g.Rank(), i))
	}
	if err := ReduceScatter(g, part, src, op); err != nil {
		return err
	}
	for i, got := range part {
		if want := T(expected(g.Size(), g.Rank()*n+i, op)); got != want {
			return differ("reduce-scatter %v: element %d is %v, not %v", op, i, got, want)
		}
	}
	for i := range src {
		if src[i] != T(value(g.Rank(), i)) {
			return differ("reduce-scatter changed its source")
		}
	}

	whole := make([]T, n*g.Size())
	for i := range part {
		part[i] = T(value(g.Rank(), i))
	}
	if err := AllGather(g, whole, part); err != nil {
		return err
	}
	for i, got := range whole {
		if want := T(value(i/n, i%n)); got != want {
			return differ("all-gather: element %d is %v, not %v", i, got, want)
		}
	}
	return nil
}

func checkBroadcast(g *Group, n, root int) error {
	data := make([]float32, n)
	for i := range data {
		data[i] = float32(g.Rank()*1000 + i)
	}
	if err := Broadcast(g, data, root); err != nil {
		return err
	}
	for i, got := range data {
		if want := float32(root*1000 + i); got != want {
			return differ("broadcast from %d: element %d is %v, not %v", root, i, got, want)
		}
	}
	return nil
}

// Every collective gives what its dumb twin gives, for every operation, type, odd length and group size.
func TestCollectivesAgreeWithTheirTwins(t *testing.T) {
	for _, l := range layouts() {
		t.Run(l.String(), func(t *testing.T) { agreeWithTwins(t, l) })
	}
}

func agreeWithTwins(t *testing.T, l layout) {
	sizes := map[int][]int{0: {1, 2, 3, 4, 5, 8}, 1: {2, 3, 5}, 2: {5}, 3: {8}}
	for _, size := range sizes[l.each] {
		groups := spread(t, l, size, 0)
		if l.each == 0 && size == 3 { // more than all slots hold, so that they are used again
			allOK(t, groups, func(g *Group) error { return checkAll[float32](g, slots*slotMost/4+17, Sum) })
		}
		for _, n := range []int{0, 1, size - 1, size + 1, 1000, treeLimit/4 + 1, flatLimit/4 + 5} {
			for op := Sum; op <= Max; op++ {
				allOK(t, groups, func(g *Group) error { return checkAll[float32](g, n, op) })
			}
			allOK(t, groups, func(g *Group) error { return checkAll[float64](g, n, Mean) })
			for root := range size {
				allOK(t, groups, func(g *Group) error { return checkBroadcast(g, n, root) })
			}
		}
		allOK(t, groups, func(g *Group) error { return g.Barrier(0) })
	}
}

// Any sequence of collectives of any lengths works back to back: no call leaves bytes for the next.
func TestSequencesOfCollectives(t *testing.T) {
	for _, l := range []layout{{0}, {1}, {3}} {
		t.Run(l.String(), func(t *testing.T) { sequences(t, spread(t, l, 4, 0)) })
	}
}

func sequences(t *testing.T, groups []*Group) {
	rapid.Check(t, func(rt *rapid.T) {
		steps := rapid.SliceOfN(rapid.IntRange(0, 9_000), 1, 3).Draw(rt, "lengths")
		root := rapid.IntRange(0, 3).Draw(rt, "root")
		op := Op(rapid.IntRange(0, 3).Draw(rt, "op"))
		allOK(t, groups, func(g *Group) error {
			for _, n := range steps {
				if err := checkAll[float64](g, n, op); err != nil {
					return err
				}
				if err := checkBroadcast(g, n, root); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// rough is data whose sum depends on the order of additions.
func rough(rank, n int) []float32 {
	data := make([]float32, n)
	for i := range data {
		data[i] = float32(math.Sin(float64(i*7+rank*13))) * float32(math.Pow(10, float64(i%9)))
	}
	return data
}

func bitsOf(data []float32) []uint32 {
	list := make([]uint32, len(data))
	for i, x := range data {
		list[i] = math.Float32bits(x)
	}
	return list
}

// Sums that depend on the order of additions have the same bits on every rank, and through memory the same as over TCP.
func TestSameInputSameBits(t *testing.T) {
	for _, size := range []int{3, 4, 7} {
		first := map[int][]uint32{} // by length
		scattered := map[int][]uint32{}
		for _, l := range []layout{{0}, {1}} {
			groups := spread(t, l, size, 0)
			for _, n := range []int{1, 1000, treeLimit/4 - 1, treeLimit/4 + 1, flatLimit/4 + 1} {
				sums, parts := make([][]uint32, size), make([][]uint32, size)
				allOK(t, groups, func(g *Group) error {
					data := rough(g.Rank(), n)
					if err := AllReduce(g, data, Mean); err != nil {
						return err
					}
					sums[g.Rank()] = bitsOf(data)
					part := make([]float32, n)
					err := ReduceScatter(g, part, rough(g.Rank(), n*size), Sum)
					parts[g.Rank()] = bitsOf(part)
					return err
				})
				for rank := range sums {
					if !slices.Equal(sums[rank], sums[0]) {
						t.Fatalf("%v, %d floats: ranks 0 and %d of %d differ", l, n, rank, size)
					}
				}
				whole := slices.Concat(parts...)
				if first[n] == nil {
					first[n], scattered[n] = sums[0], whole
				}
				if !slices.Equal(sums[0], first[n]) {
					t.Fatalf("%v, %d floats, %d ranks: the mean has other bits than before", l, n, size)
				}
				if !slices.Equal(whole, scattered[n]) {
					t.Fatalf("%v, %d floats, %d ranks: the scattered sum has other bits than before", l, n, size)
				}
			}
		}
	}
}

// NaN on one rank is NaN everywhere: a reduction must not hide it.
func TestNaNSpreads(t *testing.T) {
	groups := together(t, 3, 0)
	for op := Sum; op <= Max; op++ {
		allOK(t, groups, func(g *Group) error {
			data := []float64{1, 2}
			if g.Rank() == 1 {
				data[1] = math.NaN()
			}
			if err := AllReduce(g, data, op); err != nil {
				return err
			}
			if math.IsNaN(data[0]) || !math.IsNaN(data[1]) {
				return differ("%v gives %v", op, data)
			}
			return nil
		})
	}
}

// A warm group allocates nothing: a training step must leave no garbage.
func TestNoGarbage(t *testing.T) {
	for _, l := range []layout{{0}, {1}, {2}} {
		t.Run(l.String(), func(t *testing.T) { noGarbage(t, spread(t, l, 4, 0)) })
	}
}

func noGarbage(t *testing.T, groups []*Group) {
	for _, n := range []int{256, 1 << 18} {
		data := make([][]float32, 4)
		for rank := range data {
			data[rank] = make([]float32, n)
		}
		rounds := make(chan int)
		done := make(chan error, 4)
		for _, g := range groups[1:] {
			go func() {
				for range rounds {
					if err := AllReduce(g, data[g.Rank()], Sum); err != nil {
						done <- err
						return
					}
					done <- nil
				}
			}()
		}
		one := func() {
			for range groups[1:] {
				rounds <- 1
			}
			if err := AllReduce(groups[0], data[0], Sum); err != nil {
				t.Fatal(err)
			}
			for range groups[1:] {
				if err := <-done; err != nil {
					t.Fatal(err)
				}
			}
		}
		one()
		if allocs := testing.AllocsPerRun(20, one); allocs > 0 {
			t.Errorf("all-reduce of %d float32 allocates %v times", n, allocs)
		}
		close(rounds)
	}
}
