package local

import (
	"sync"
	"time"

	"ainexus.io/proc"
)

// clock counts from one reading of the wall clock by the clock that does not jump. A wall clock that is set by a day
// while the daemon runs changes nothing; what a restart finds is at least what the last daemon left behind.
type clock struct {
	source proc.Clock

	mu    sync.Mutex
	base  time.Time
	since time.Duration // of source.Mono, at base
}

func newClock(source proc.Clock) *clock {
	return &clock{source: source, base: source.Wall().Round(0).UTC(), since: source.Mono()}
}

// notBefore moves the clock forward to mark, where it is behind.
func (c *clock) notBefore(mark time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.base.Add(c.source.Mono() - c.since)
	if mark = mark.UTC(); mark.After(now) {
		c.base, c.since = mark, c.source.Mono()
	}
}

// Now is the time of the place.
func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.base.Add(max(0, c.source.Mono()-c.since))
}

// mono is for lengths of time.
func (c *clock) mono() time.Duration { return c.source.Mono() }
