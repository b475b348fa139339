package policy

import (
	"cmp"
	"time"

	"ainexus.io/nexus"
)

const (
	// slice is how long an attempt runs at least before an equal may take its seats.
	slice = time.Hour
	// lead is how many times longer than who waits a job must have run to be evicted for it.
	lead = 2
	// settle is how long a job waits before it may take the seats of equals: most holes open by themselves.
	settle = 2 * time.Minute
	// mostTurns is how often a job is evicted for equals at most.
	mostTurns = 16
)

// Waited is how long a job has waited in total, in line and between its attempts.
func Waited(j *nexus.Job, at time.Time) time.Duration {
	return max(0, at.Sub(j.Submitted)-Ran(j, at))
}

// MayTurn reports whether a waiting job may take the seats of a running equal in a queue that slices time: who has
// run little goes before who has run long. The other must have had a whole slice, have run twice as long as who waits,
// have a valid checkpoint, not have waited out its own patience, and not have been evicted too often.
//
// Two jobs never evict one another in turn: each time, the evictor must first outrun the other twofold, so that the
// n-th eviction between them takes 2^n slices. [TurnAt] is when the answer may become yes.
func MayTurn(waiting, running *nexus.Job, at time.Time) bool {
	turn := TurnAt(waiting, running, at)
	return !turn.IsZero() && !at.Before(turn)
}

// TurnAt is when a waiting job may take the seats of a running equal, if both go on as they are at an instant;
// zero: never.
func TurnAt(waiting, running *nexus.Job, at time.Time) time.Time {
	if running.Spec.Priority != waiting.Spec.Priority || !turns(running, at) {
		return time.Time{}
	}
	turn := running.Started.Add(max(slice, lead*Ran(waiting, at)-time.Duration(running.Served)))
	if rested := RestedAt(waiting); rested.After(turn) {
		return rested
	}
	return turn
}

// turns reports whether a job makes way for equals at all, sooner or later.
func turns(running *nexus.Job, at time.Time) bool {
	return running.Phase == nexus.Running && !running.CheckpointAt.IsZero() && running.Preemptions < mostTurns && Waited(running, at) < Patience
}

// HadTurn reports whether a job may be asked for its seats by some equal: [MayTurn] says by whom, all of which have run half as
// long as it at most.
func HadTurn(running *nexus.Job, at time.Time) bool {
	return turns(running, at) && at.Sub(running.Started) >= slice
}

// Outran reports whether who has run for so long yields to who has run for less: twice as long is enough. It is what [MayTurn]
// asks beside [HadTurn], of equals, once who waits has rested.
func Outran(running, waiting time.Duration) bool { return running >= lead*waiting }

// RestedAt is when a waiting job may take the seats of equals at the earliest.
func RestedAt(waiting *nexus.Job) time.Time { return WaitingSince(waiting).Add(settle) }

// WaitingSince is when a waiting job's present wait began: its submit, or the end of its last attempt.
func WaitingSince(j *nexus.Job) time.Time {
	if j.Result != nil && j.Result.Ended.After(j.Submitted) {
		return j.Result.Ended
	}
	return j.Submitted
}

// CompareTurns says which equal yields first: who has run longest in total, then who was preempted less often.
func CompareTurns(a, b *nexus.Job, at time.Time) int {
	return cmp.Or(
		cmp.Compare(Ran(b, at), Ran(a, at)),
		cmp.Compare(a.Preemptions, b.Preemptions),
		cmp.Compare(a.ID, b.ID),
	)
}

// Turn is what it costs to let a set of equals yield. Compare orders the sets: the fewest jobs first, then the fewest GPUs taken beyond
// what is needed, then where even the one that ran least has run longest.
type Turn struct {
	Count, Spare int
	Least        time.Duration
}

// TurnOf adds up a set of equals that give way to a job that lacks so many GPUs.
func TurnOf(victims []*nexus.Job, lacks int, at time.Time) Turn {
	t := Turn{Count: len(victims), Spare: -lacks}
	for i, v := range victims {
		t.Spare += GPUs(&v.Spec)
		if ran := Ran(v, at); i == 0 || ran < t.Least {
			t.Least = ran
		}
	}
	return t
}

// Compare is negative where t is the cheaper one.
func (t Turn) Compare(o Turn) int {
	return cmp.Or(cmp.Compare(t.Count, o.Count), cmp.Compare(t.Spare, o.Spare), cmp.Compare(o.Least, t.Least))
}
