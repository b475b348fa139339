package nexus

import (
	"fmt"
	"slices"
	"time"
)

// History is what past jobs taught: how long jobs of a kind run, and how far estimates of starts were off. It
// is a sketch of bounded size, kept by the place and carried in the snapshot; only package policy folds
// anything into it. Of one place, two histories with the same Version are the same.
type History struct {
	Version uint64 `json:"version"`
	// Runs are the total run times of jobs that are over, in seconds; ascending by Kind.
	Runs []Sketch `json:"runs,omitempty"`
	// Waits are actual waits as a multiple of [Estimate].Plain, in thousandths; ascending by Kind.
	Waits []Sketch `json:"waits,omitempty"`
	// Mix counts what the jobs that came asked of a node.
	Mix Mix `json:"mix,omitzero"`
	// Early and Late correct the ends of the interval of an [Estimate], in millionths: they fall with each
	// start that lay before or after it, and rise with each that did not.
	Early int64 `json:"early,omitempty"`
	Late  int64 `json:"late,omitempty"`
}

// Mix is a bounded count of what jobs ask of a node, newer ones for more; the most frequent first.
type Mix struct {
	Kept []Wanted `json:"kept,omitempty"`
	Seen int64    `json:"seen,omitempty"` // the sum of the counts
	Told int64    `json:"told,omitempty"` // Seen when the mix was last published
}

// Wanted is what a job asks of a node, and how often that was asked.
type Wanted struct {
	CPU    CPU    `json:"cpu,omitempty"`
	Memory MiB    `json:"memory,omitempty"`
	GPUs   int    `json:"gpus,omitempty"`   // whole ones
	Share  MiB    `json:"share,omitempty"`  // of one GPU
	Models string `json:"models,omitempty"` // that will do, separated by "|"; empty: any
	Count  int64  `json:"count,omitempty"`
}

// Clone is a copy that may be kept while the history learns on.
func (h *History) Clone() *History {
	c := *h
	c.Runs, c.Waits, c.Mix.Kept = slices.Clone(h.Runs), slices.Clone(h.Waits), slices.Clone(h.Mix.Kept)
	return &c
}

// Sketch counts the sizes that were observed of one kind of job, older ones for less.
type Sketch struct {
	Kind string    `json:"kind"`
	Last time.Time `json:"last"` // when the newest observation was made
	// From is the bucket of Counts[0]; the buckets before and after Counts are empty. Each is a
	// factor of the square root of two wide: see policy.
	From int `json:"from"`
	// Counts are in thousandths of an observation.
	// A sketch that changes gets new ones.
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

// Sentence says the estimate for people who read it at an instant: "in about 40 min (80 %: 10 min to 2 h)".
func (e Estimate) Sentence(now time.Time) string {
	text := "in about " + roughly(e.Median.Sub(now))
	if e.Median.Sub(now) < time.Minute {
		text = "any moment now"
	}
	return fmt.Sprintf("%s (80 %%: %s)", text, e.Range(now))
}

// Range is the interval of an estimate for people who read it at an instant: "10 min to 2 h".
func (e Estimate) Range(now time.Time) string {
	low, high := roughly(e.Low.Sub(now)), roughly(e.High.Sub(now))
	if low == high {
		return low
	}
	return low + " to " + high
}

// roughly is a length of time in one unit, as nobody wants to read more of a guess.
func roughly(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < time.Minute:
		return "now"
	case d < 100*time.Minute:
		return fmt.Sprintf("%d min", d.Round(time.Minute)/time.Minute)
	case d < 2*day:
		return fmt.Sprintf("%d h", d.Round(time.Hour)/time.Hour)
	}
	return fmt.Sprintf("%d days", d.Round(day)/day)
}
