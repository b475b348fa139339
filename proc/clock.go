package proc

import "time"

// Clock is the two clocks of an agent or a daemon. Wall dates records and may jump; Mono counts durations
// and only grows.
type Clock struct {
	Wall func() time.Time
	Mono func() time.Duration // since some fixed instant
}

// SystemClock returns this machine's clocks.
func SystemClock() Clock {
	start := time.Now()
	return Clock{Wall: time.Now, Mono: func() time.Duration { return time.Since(start) }}
}

// OrSystem fills in the clocks that are missing.
func (c Clock) OrSystem() Clock {
	system := SystemClock()
	if c.Wall == nil {
		c.Wall = system.Wall
	}
	if c.Mono == nil {
		c.Mono = system.Mono
	}
	return c
}
