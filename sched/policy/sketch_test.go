package policy_test

import (
	"testing"

	"pgregory.net/rapid"

	"ainexus.io/nexus"
	"ainexus.io/sched/policy"
)

func TestSketchPublishesSeldom(t *testing.T) {
	var s policy.Sketch
	published := 0
	for i := range 10000 {
		s.Add(whole(i%7, 1))
		if s.Due() {
			s.Mix()
			published++
			if s.Due() {
				t.Fatal("due again at once")
			}
		}
	}
	if published < 20 || published > 40 {
		t.Errorf("published %d times in 10000", published)
	}
	if mix := s.Mix(); len(mix) != 7 {
		t.Errorf("kept %d requests of 7", len(mix))
	}
}

// Against an exact count: what is frequent is kept, no count is too low, and none is too high by more than
// the bound.
func TestSketchCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s policy.Sketch
		exact := map[policy.Request]int64{}
		spread := rapid.SampledFrom([]int{3, 200, 5000}).Draw(t, "spread")
		seed := rapid.Uint64().Draw(t, "seed")
		for range rapid.IntRange(0, 4000).Draw(t, "requests") {
			seed = seed*6364136223846793005 + 1442695040888963407
			cpu := int(seed>>33) % spread
			r := policy.Request{CPU: nexus.CPU(cpu / (1 + int(seed>>20)%4)), GPUs: 1}
			exact[r]++
			s.Add(r)
		}
		mix, sum := s.Mix(), int64(0)
		over := s.Seen / 256
		kept := map[policy.Request]int64{}
		for i, d := range mix {
			if sum += d.Count; d.Count < exact[d.Request] || d.Count > exact[d.Request]+over || i > 0 && mix[i-1].Count < d.Count {
				t.Fatalf("%+v counted %d for %d of %d", d.Request, d.Count, exact[d.Request], s.Seen)
			}
			kept[d.Request] = d.Count
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

func TestSketchForgetsWhatIsOver(t *testing.T) {
	var s policy.Sketch
	for range 1 << 16 {
		s.Add(whole(1, 1))
	}
	for range 1 << 16 {
		s.Add(whole(2, 1))
	}
	if mix := s.Mix(); mix[0].CPU != 2000 || s.Seen >= 1<<15 {
		t.Errorf("the old mix still leads: %+v of %d", mix, s.Seen)
	}
}
