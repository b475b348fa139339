package policy

import "time"

// Policy is the set of choices a planner works by.
type Policy struct {
	// Claims is how many blocked jobs, from the head of the line, keep what they wait for: nobody behind
	// them may start where that would move their start. 0 means 32.
	Claims int
	// HalfLife is after how long what a queue or user had counts half in its share. 0 means 7 days.
	HalfLife time.Duration
}

// Default is the policy of a place that says nothing.
func Default() Policy { return Policy{Claims: 32} }

// Half is HalfLife with its default.
func (p Policy) Half() time.Duration {
	if p.HalfLife <= 0 {
		return HalfLife
	}
	return p.HalfLife
}

// Heads is Claims with its default.
func (p Policy) Heads() int {
	if p.Claims <= 0 {
		return 32
	}
	return p.Claims
}
