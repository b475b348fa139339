package policy

import (
	"time"

	"ainexus.io/nexus"
)

// Policy is the set of choices a planner works by. The zero value is ours.
type Policy struct {
	// Claims is how many blocked jobs, from the head of the line, keep what they wait for: nobody behind
	// them may start where that would move their start. 0 means 32, less than 0 none.
	Claims int
	// HalfLife is after how long what a queue or user had counts half in its share. 0 means 7 days.
	HalfLife time.Duration
	// Place names the [Scorer] that ranks nodes. Empty is ours.
	Place string
	// Seed is for the scorer that draws lots.
	Seed int64
	// Mix is which requests will come, where that is known beforehand; nil: it is learnt.
	Mix []nexus.Wanted
	// Rank is who goes first within a priority. Empty is ours.
	Rank Rank
	// Strict lets nobody pass the first that waits.
	Strict bool
	// Rerank chooses anew at each event who runs: whoever ranks too low is preempted.
	Rerank bool
	// Slicing lets a job yield to its equals in every queue, as a queue with time_slicing does.
	Slicing bool
	// Whole is how long a job will run in total, for oracles; nil: nobody knows.
	Whole func(job string) time.Duration
	// Exact takes the ends of running jobs from Whole.
	Exact bool
	// Thrift has shares wait for holes rather than open the last idle GPUs ([Worth.Waits]).
	Thrift bool
	// Moves is how many running jobs may be moved to make room, for every thousand that have come.
	Moves int
}

// Default is the policy of a place that says nothing.
func Default() Policy { return Policy{} }

// Half is HalfLife with its default.
func (p Policy) Half() time.Duration {
	if p.HalfLife <= 0 {
		return HalfLife
	}
	return p.HalfLife
}

// Heads is Claims with its default.
func (p Policy) Heads() int {
	if p.Claims == 0 {
		return 32
	}
	return max(0, p.Claims)
}
