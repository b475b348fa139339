package sampler_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"ainexus.io/train/sampler"
)

func deal(t fataler, n int, o sampler.Options) *sampler.Sampler {
	s, err := sampler.New(n, o)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return s
}

type fataler interface{ Fatalf(string, ...any) }

// pytorch is torch.utils.data.DistributedSampler.__iter__, line by line: the dumb twin.
func pytorch(order []int, rank, replicas int, dropLast bool) []int {
	n := len(order)
	samples := (n + replicas - 1) / replicas
	if dropLast && n%replicas != 0 {
		samples = max((n-replicas+replicas-1)/replicas, 0)
	}
	total := samples * replicas
	indices := slices.Clone(order)
	if !dropLast {
		padding := total - len(indices)
		if padding <= len(indices) {
			indices = append(indices, indices[:padding]...)
		} else {
			times := (padding + len(indices) - 1) / len(indices)
			indices = append(indices, slices.Repeat(indices, times)[:padding]...)
		}
	} else {
		indices = indices[:total]
	}
	var mine []int
	for i := rank; i < total; i += replicas {
		mine = append(mine, indices[i])
	}
	return mine
}

// For any data set and world size each rank gets what PyTorch gives it, sequential and shuffled.
func TestSameAsPyTorch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, world := rapid.IntRange(1, 60).Draw(t, "n"), rapid.IntRange(1, 20).Draw(t, "world")
		o := sampler.Options{WorldSize: world, Seed: 7,
			Shuffle: rapid.Bool().Draw(t, "shuffle"), DropLast: rapid.Bool().Draw(t, "drop")}
		epoch := rapid.IntRange(0, 5).Draw(t, "epoch")
		whole := deal(t, n, sampler.Options{Shuffle: o.Shuffle, Seed: 7}).Indices(epoch)
		for o.Rank = range world {
			s := deal(t, n, o)
			got, want := s.Indices(epoch), pytorch(whole, o.Rank, world, o.DropLast)
			if !slices.Equal(got, want) || len(got) != s.Len() {
				t.Fatalf("rank %d gets %v, PyTorch gives %v", o.Rank, got, want)
			}
		}
	})
}

// What torch 1.13 printed for DistributedSampler(range(n), world, rank, shuffle=False, drop_last=drop).
func TestSequentialAsRecordedFromPyTorch(t *testing.T) {
	for _, c := range []struct {
		n, world int
		drop     bool
		want     string
	}{
		{10, 4, false, "[[0 4 8] [1 5 9] [2 6 0] [3 7 1]]"},
		{10, 4, true, "[[0 4] [1 5] [2 6] [3 7]]"},
		{8, 4, false, "[[0 4] [1 5] [2 6] [3 7]]"},
		{8, 4, true, "[[0 4] [1 5] [2 6] [3 7]]"},
		{3, 8, false, "[[0] [1] [2] [0] [1] [2] [0] [1]]"},
		{3, 8, true, "[[] [] [] [] [] [] [] []]"},
		{1, 3, false, "[[0] [0] [0]]"},
	} {
		var got [][]int
		for rank := range c.world {
			o := sampler.Options{Rank: rank, WorldSize: c.world, DropLast: c.drop}
			got = append(got, deal(t, c.n, o).Indices(0))
		}
		if fmt.Sprint(got) != c.want {
			t.Errorf("n %d, world %d, drop %v: %v, PyTorch gives %v", c.n, c.world, c.drop, got, c.want)
		}
	}
}

// Together the ranks see every sample, and none more than once beyond the padding.
func TestEverySampleIsSeen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, world := rapid.IntRange(1, 200).Draw(t, "n"), rapid.IntRange(1, 16).Draw(t, "world")
		seen := make([]int, n)
		total := 0
		for rank := range world {
			for _, i := range deal(t, n, sampler.Options{Rank: rank, WorldSize: world, Shuffle: true}).Indices(3) {
				seen[i]++
				total++
			}
		}
		if total%world != 0 || total-n >= world {
			t.Fatalf("%d samples are dealt for a data set of %d", total, n)
		}
		if n >= world && (slices.Min(seen) < 1 || slices.Max(seen) > 2) {
			t.Fatalf("seen %v times", seen)
		}
	})
}

// A resumed epoch goes on where it was left, also at another world size: nothing is skipped or seen twice.
func TestResumeInTheMiddleOfAnEpoch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 200).Draw(t, "n")
		before, after := rapid.IntRange(1, 9).Draw(t, "before"), rapid.IntRange(1, 9).Draw(t, "after")
		o := sampler.Options{WorldSize: before, Shuffle: true, Seed: 3, DropLast: rapid.Bool().Draw(t, "drop")}
		first := deal(t, n, o)
		steps := rapid.IntRange(0, first.Len()).Draw(t, "steps")
		if got, want := first.From(1, steps*before), first.Indices(1)[steps:]; !slices.Equal(got, want) {
			t.Fatalf("at the same world size: %v, not %v", got, want)
		}
		used := min(steps*before, n)
		whole := deal(t, n, sampler.Options{Shuffle: true, Seed: 3}).Indices(1)
		o.WorldSize = after
		var rest []int
		for o.Rank = range after {
			rest = append(rest, deal(t, n, o).From(1, used)...)
		}
		for at, i := range whole {
			times := 0
			for _, j := range rest {
				if i == j {
					times++
				}
			}
			left := n - used
			if at >= used && !o.DropLast && times < 1 || at < used && left >= after && times > 1 {
				t.Fatalf("sample at %d of %d (used %d) is dealt %d times", at, n, used, times)
			}
		}
	})
}

// Epochs and seeds give different orders; the same ones the same.
func TestShufflesDependOnSeedAndEpochAlone(t *testing.T) {
	s := deal(t, 1000, sampler.Options{Shuffle: true, Seed: 1})
	again := deal(t, 1000, sampler.Options{Shuffle: true, Seed: 1})
	other := deal(t, 1000, sampler.Options{Shuffle: true, Seed: 2})
	if !slices.Equal(s.Indices(4), again.Indices(4)) {
		t.Error("the same seed and epoch differ")
	}
	if slices.Equal(s.Indices(4), s.Indices(5)) || slices.Equal(s.Indices(4), other.Indices(4)) {
		t.Error("different epochs or seeds agree")
	}
	first := s.Indices(0)[:5]
	if want := []int{164, 338, 836, 610, 901}; !slices.Equal(first, want) {
		t.Errorf("the order of seed 1, epoch 0 begins %v, it began %v in the first release", first, want)
	}
}

func TestRefusesWrongRanks(t *testing.T) {
	for _, o := range []sampler.Options{{Rank: 1}, {Rank: -1, WorldSize: 2}, {Rank: 2, WorldSize: 2}, {WorldSize: -1}} {
		if _, err := sampler.New(10, o); err == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
	empty := deal(t, 0, sampler.Options{WorldSize: 2, Shuffle: true})
	if got := empty.Indices(0); len(got) != 0 {
		t.Errorf("an empty data set gives %v", got)
	}
}

func ExampleSampler() {
	for rank := range 4 {
		s, err := sampler.New(10, sampler.Options{Rank: rank, WorldSize: 4})
		if err != nil {
			panic(err)
		}
		fmt.Println(rank, s.Indices(0))
	}
	// Output:
	// 0 [0 4 8]
	// 1 [1 5 9]
	// 2 [2 6 0]
	// 3 [3 7 1]
}
