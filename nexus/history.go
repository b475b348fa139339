package nexus

import "time"

// History is what past jobs taught: how long jobs of a kind run, and how far estimates of starts were off. It
// is a sketch of bounded size, kept by the place and carried in the snapshot; only package policy folds
// anything into it. Of one place, two histories with the same Version are the same.
type History struct {
	Version uint64 `json:"version"`
	// Runs are the total run times of jobs that are over, in seconds; ascending by Kind.
	Runs []Sketch `json:"runs,omitempty"`
	// Waits are waits as a multiple of what had been estimated, in thousandths; ascending by Kind.
	Waits []Sketch `json:"waits,omitempty"`
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
