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

// The tables for 256 requests on eight kinds of node: what a new mix costs.
func BenchmarkNewWorth(b *testing.B) {
	var mix []policy.Demand
	for i := range 256 {
		r := whole(1+i%30, 1)
		if i%2 == 0 {
			r = share(1+i%20, 5+i*37%90)
		}
		mix = append(mix, policy.Demand{Request: r, Count: int64(1 + i*i%97)})
	}
	var supply []policy.Supply
	for m := range 8 {
		s := eights[0]
		s.Model = 1 + m
		supply = append(supply, s)
	}
	for b.Loop() {
		policy.NewWorth(mix, supply)
	}
}
