package policy

import (
	"time"

	"ainexus.io/nexus"
)

const (
	// stretch is how many times its expected work a job may be kept waiting by others.
	stretch = 3
	// longest is what the expectation of a run counts at most: beyond it long is long.
	longest = 10 * time.Hour
	// Patience bounds what a job has to let others pass: from then on nobody who comes goes ahead of it,
	// and it may keep a claim.
	Patience = 24 * time.Hour
)

// Due is when a waiting job ought to start, and the key of the line: who is due first goes first, within a
// priority. It is the submit time plus a multiple of the GPU time that jobs of its kind take, [Patience] at the most.
// So short and small jobs pass long and large ones while both are young, which is what keeps the mean wait low
// where nobody says how long he runs; and everyone ages, as the key is fixed between versions of the history
// while those of newcomers grow with the clock.
func (o *Outlook) Due(j *nexus.Job) time.Time {
	return j.Submitted.Add(seconds(min(stretch*o.Work(j), int64(Patience/time.Second))))
}

// Overdue reports whether a job has waited out its patience at an instant. A blocked job that has is owed a claim: before that the
// chance that a hole opens for it is better than holding GPUs idle. It is asked of blocked jobs in the order of the line,
// and [OverdueAt] is when to wake for one.
func Overdue(j *nexus.Job, at time.Time) bool { return !at.Before(OverdueAt(j)) }

// OverdueAt is when a waiting job becomes [Overdue].
func OverdueAt(j *nexus.Job) time.Time { return j.Submitted.Add(Patience) }
