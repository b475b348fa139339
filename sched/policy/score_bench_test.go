package policy_test

import (
	"testing"

	"ainexus.io/sched/policy"
)

// A node of eight devices in use, a share that fits five of them.
func BenchmarkScore(b *testing.B) {
	mix := []policy.Demand{
		{Request: share(3, 81), Count: 1047}, {Request: whole(11, 1), Count: 1473}, {Request: share(12, 47), Count: 748},
		{Request: share(4, 32), Count: 232}, {Request: share(12, 65), Count: 237}, {Request: share(4, 23), Count: 122},
		{Request: whole(64, 8), Count: 44}, {Request: policy.Request{CPU: 12000}, Count: 366},
	}
	s, r := site("a", 60, 100, 53, 19, 100, 0, 35, 68, 100), share(4, 32)
	for _, name := range policy.Scorers() {
		b.Run(name, func(b *testing.B) {
			sc, err := policy.NewScorer(name, 1, mix, eights)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				sc.Score(&s, &r)
			}
		})
	}
}
