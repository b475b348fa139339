package policy_test

import (
	"testing"

	"pgregory.net/rapid"

	"ainexus.io/nexus"
	"ainexus.io/sched/policy"
)

// asking is a job that asks for a GPU and so many thousandths of a cpu.
func asking(cpu int) *nexus.Spec {
	return &nexus.Spec{Resources: nexus.Resources{GPUs: nexus.GPUCount{N: 1}, CPU: nexus.CPU(cpu)}}
}

func TestMixPublishesSeldom(t *testing.T) {
	var h nexus.History
	published := 0
	for i := range 10000 {
		if policy.LearnArrival(&h, asking(i%7)) {
			published++
		}
	}
	if published < 20 || published > 40 {
		t.Errorf("published %d times in 10000", published)
	}
	if len(h.Mix.Kept) != 7 || h.Version != uint64(published) {
		t.Errorf("kept %d requests of 7, version %d", len(h.Mix.Kept), h.Version)
	}
}

// Against an exact count: what is frequent is kept, no count is too low, and none is too high by more than
// the bound.
func TestMixCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h nexus.History
		s := &h.Mix
		exact := map[nexus.Wanted]int64{}
		spread := rapid.SampledFrom([]int{3, 200, 5000}).Draw(t, "spread")
		seed := rapid.Uint64().Draw(t, "seed")
		for range rapid.IntRange(0, 4000).Draw(t, "requests") {
			seed = seed*6364136223846793005 + 1442695040888963407
			cpu := int(seed>>33) % spread
			job := asking(cpu / (1 + int(seed>>20)%4))
			exact[policy.WantedBy(job)]++
			policy.LearnArrival(&h, job)
		}
		mix, sum := s.Kept, int64(0)
		over := s.Seen / 256
		kept := map[nexus.Wanted]int64{}
		for i, d := range mix {
			r := d
			r.Count = 0
			if sum += d.Count; d.Count < exact[r] || d.Count > exact[r]+over || i > 0 && mix[i-1].Count < d.Count {
				t.Fatalf("%+v counted %d for %d of %d", r, d.Count, exact[r], s.Seen)
			}
			kept[r] = d.Count
		}
		if len(mix) > 256 || sum != s.Seen {
			t.Fatalf("%d requests with %d of %d", len(mix), sum, s.Seen)
		}
		for r, n := range exact {
			if n > over && kept[r] == 0 {
				t.Fatalf("%+v came %d times of %d and is forgotten", r, n, s.Seen)
			}
		}
	})
}

func TestMixForgetsWhatIsOver(t *testing.T) {
	var h nexus.History
	for range 1 << 16 {
		policy.LearnArrival(&h, asking(1))
	}
	for range 1 << 16 {
		policy.LearnArrival(&h, asking(2))
	}
	if mix := h.Mix.Kept; mix[0].CPU != 2 || h.Mix.Seen >= 1<<15 {
		t.Errorf("the old mix still leads: %+v of %d", mix, h.Mix.Seen)
	}
}
