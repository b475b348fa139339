package policy

import (
	"time"

	"ainexus.io/nexus"
)

// Rank orders jobs within a priority by one number: less goes first, then the earlier submit, then the id. Ours is
// [Outlook.Due]; the others are what it is measured against.
type Rank string

// The ranks. Those that need to be told how long a job will run are oracles.
const (
	ByDue       Rank = ""          // ours
	ByArrival   Rank = "arrival"   // first come, first served
	ByAttained  Rank = "attained"  // two levels of least attained service: below and above a GPU-hour
	ByLength    Rank = "length"    // oracle: the shortest run first
	ByRemaining Rank = "remaining" // oracle: the shortest rest first
)

// hour is where two-level least attained service draws the line: one GPU-hour.
const hour = time.Hour

// Key is the number that a rank gives a job at an instant; whole is its true run time in total, which only oracles look at.
// Without [Policy.Rerank] it is asked of waiting jobs only, and then it does not depend on the instant.
func (r Rank) Key(j *nexus.Job, o *Outlook, at time.Time, whole time.Duration) time.Duration {
	switch r {
	case ByArrival:
		return since(j.Submitted)
	case ByAttained:
		if Attained(j, at) >= hour {
			return since(j.Submitted) + century
		}
		return since(j.Submitted)
	case ByLength:
		return whole
	case ByRemaining:
		return whole - Ran(j, at)
	}
	return since(o.Due(j))
}

// century is further than any two jobs are apart.
const century = 100 * 365 * 24 * time.Hour

// since is an instant as a length of time, for keys.
func since(t time.Time) time.Duration { return time.Duration(t.UnixNano()) }

// Crosses reports whether keys of running jobs change their level.
func (r Rank) Crosses() bool { return r == ByAttained }

// Crossing is when the key of a running job will change its level; zero: never.
func (r Rank) Crossing(j *nexus.Job, at time.Time) time.Time {
	gpus := time.Duration(max(1, GPUs(&j.Spec)))
	if left := hour - Attained(j, at); r == ByAttained && left > 0 && j.Phase.Live() {
		return at.Add((left + gpus - 1) / gpus)
	}
	return time.Time{}
}

// Ran is how long a job has run, in all its attempts.
func Ran(j *nexus.Job, at time.Time) time.Duration {
	if !j.Phase.Live() || j.Started.IsZero() {
		return time.Duration(j.Served)
	}
	return time.Duration(j.Served) + max(0, at.Sub(j.Started))
}

// Attained is the GPU time that a job has had: GPUs times [Ran]. What has no whole GPU counts as one.
func Attained(j *nexus.Job, at time.Time) time.Duration {
	return Ran(j, at) * time.Duration(max(1, GPUs(&j.Spec)))
}
