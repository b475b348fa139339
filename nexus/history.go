package nexus

import "time"

// History is what past jobs taught: how long jobs of a kind run, and how far estimates of starts were off. It
// is a sketch of bounded size, kept by the place and carried in the snapshot; only package policy folds
// anything into it. Of one place, two histories with the same Version are the same.
type History struct {
	Version uint64 `json:"version"`
	// Runs are the total run times of jobs that are over, in seconds; ascending by Kind.
	Runs []Sketch `json:"runs,omitempty"`
	// Waits are actual waits as a multiple of [Estimate].Plain, in thousandths; ascending by Kind.
	Waits []Sketch `json:"waits,omitempty"`
	// Early and Late correct the ends of the interval of an [Estimate], in millionths: they fall with each
	// start that lay before or after it, and rise with each that did not.
	Early int64 `json:"early,omitempty"`
	Late  int64 `json:"late,omitempty"`
}

// Sketch counts the sizes that were observed of one kind of job, older ones for less.
type Sketch struct {
	Kind string    `json:"kind"`
	Last time.Time `json:"last"` // when the newest observation was made
	// From is the bucket of Counts[0]; the buckets before and after Counts are empty. Each is a
	// factor of the square root of two wide: see policy.
	From int `json:"from"`
	// Counts are in thousandths of an observation.
	Counts []int64 `json:"counts"`
}

// Estimate is when a waiting job is expected to start, as it was said at an instant.
type Estimate struct {
	At time.Time `json:"at"`
	// Low, Median and High are such that one start in ten is earlier than Low, half are earlier than Median and one in
	// ten is later than High.
	Low    time.Time `json:"low"`
	Median time.Time `json:"median"`
	High   time.Time `json:"high"`
	// Plain is the wait before what was learnt of waits corrected it: the actual wait is compared with it.
	Plain Duration `json:"plain"`
}
