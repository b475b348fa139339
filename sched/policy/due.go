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
	// Patience is how long a job lets others pass where the line is short: from then on nobody who comes goes
	// ahead of it, and it may keep a claim.
	Patience = 24 * time.Hour
	// mostPatience bounds it where the line is long.
	mostPatience = 16 * Patience
)

// PatienceFor is the patience that suits a line: [Patience], doubled until it is four times what the fleet needs to work
// off the expected GPU-seconds of all who wait. Were it shorter, all would be overdue in a rush, and short jobs
// would stand behind long ones by arrival. It moves in few steps, so that the keys rarely change.
func PatienceFor(backlog int64, gpus int) time.Duration {
	drain, p := backlog/int64(max(1, gpus)), Patience
	for p < mostPatience && drain > int64(p/time.Second)/4 {
		p *= 2
	}
	return p
}

// Due is when a waiting job ought to start, and the key of the line: who is due first goes first, within a
// priority. It is the submit time plus a multiple of the GPU time that jobs of its kind take, [Outlook.Patience] at the most.
// So short and small jobs pass long and large ones while both are young, which is what keeps the mean wait low
// where nobody says how long he runs; and everyone ages, as the key is fixed between versions of the history
// while those of newcomers grow with the clock.
func (o *Outlook) Due(j *nexus.Job) time.Time {
	if !o.Taught() {
		return j.Submitted
	}
	return j.Submitted.Add(seconds(min(stretch*o.Work(j), int64(o.Patience/time.Second))))
}

// Overdue reports whether a job has waited out its patience at an instant. A blocked job that has is owed a claim: before that, if it is not
// the first, the chance that a hole opens for it is better than holding GPUs idle. It is asked of blocked jobs in the order of the line,
// and [Outlook.OverdueAt] is when to wake for one.
func (o *Outlook) Overdue(j *nexus.Job, at time.Time) bool { return !at.Before(o.OverdueAt(j)) }

// OverdueAt is when a waiting job becomes [Outlook.Overdue].
func (o *Outlook) OverdueAt(j *nexus.Job) time.Time { return j.Submitted.Add(o.Patience) }
