package policy

// Policy is the set of choices a planner works by.
type Policy struct {
	// Claims is how many blocked jobs, from the head of the line, keep what they wait for: nobody behind
	// them may start where that would move their start. 0 means 32.
	Claims int
}

// Default is the policy of a place that says nothing.
func Default() Policy { return Policy{Claims: 32} }

// Heads is Claims with its default.
func (p Policy) Heads() int {
	if p.Claims <= 0 {
		return 32
	}
	return p.Claims
}
