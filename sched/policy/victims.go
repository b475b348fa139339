package policy

import (
	"cmp"
	"time"

	"ainexus.io/nexus"
)

// MayEvict reports whether a waiting job may take the seats of a running one. Equals never.
func MayEvict(waiting, running *nexus.Job) bool {
	return running.Spec.Priority < waiting.Spec.Priority
}

// CompareVictims says who yields first: lower priority, then by type, then who loses the least work
// since its last checkpoint, then who was preempted less often.
func CompareVictims(a, b *nexus.Job, at time.Time) int {
	return cmp.Or(
		cmp.Compare(a.Spec.Priority, b.Spec.Priority),
		cmp.Compare(yields(a.Spec.Type), yields(b.Spec.Type)),
		cmp.Compare(Lost(a, at), Lost(b, at)),
		cmp.Compare(a.Preemptions, b.Preemptions),
		cmp.Compare(a.ID, b.ID),
	)
}

// Lost is how much work of the attempt a job would lose now: the time since its last checkpoint, or
// since its start.
func Lost(j *nexus.Job, at time.Time) time.Duration {
	since := j.Started
	if j.CheckpointAt.After(since) {
		since = j.CheckpointAt
	}
	return max(0, at.Sub(since))
}

// Price is what a set of victims costs. Compare orders prices: whose worst victim ranks lowest, then the
// fewest, then the types that yield first, then the least work lost.
type Price struct {
	Worst  nexus.Priority
	Count  int
	Yields int
	Lost   time.Duration
}

// PriceOf adds up victims.
func PriceOf(victims []*nexus.Job, at time.Time) Price {
	p := Price{Worst: nexus.Low - 1, Count: len(victims)}
	for _, v := range victims {
		p.Worst = max(p.Worst, v.Spec.Priority)
		p.Yields += yields(v.Spec.Type)
		p.Lost += Lost(v, at)
	}
	return p
}

// Compare is negative where p is the cheaper one.
func (p Price) Compare(o Price) int {
	return cmp.Or(cmp.Compare(p.Worst, o.Worst), cmp.Compare(p.Count, o.Count),
		cmp.Compare(p.Yields, o.Yields), cmp.Compare(p.Lost, o.Lost))
}

// yields ranks the types: preprocessing first, evaluation second, training, inference last.
func yields(t nexus.Type) int {
	switch t {
	case nexus.Preprocessing:
		return 0
	case nexus.Evaluation:
		return 1
	case nexus.Inference:
		return 3
	}
	return 2
}
