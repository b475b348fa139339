package policy

import (
	"time"

	"ainexus.io/nexus"
)

// MostPreemptions is how often a job is preempted at most where its queue does not say. Who is stopped again and again,
// above all one that cannot save, would else never come to its end.
const MostPreemptions = 16

// Bounds protect the live jobs of a queue from being stopped for others. The zero value spares everybody: see
// [DefaultBounds].
type Bounds struct {
	MinRun time.Duration // how long an attempt runs at least
	Most   int           // preemptions of a job
}

// DefaultBounds are those of queues that say nothing: who is more urgent does not wait, but a job is not stopped for
// ever.
func DefaultBounds() Bounds { return Bounds{Most: MostPreemptions} }

// Of is the bounds with what a queue itself says.
func (b Bounds) Of(q *nexus.Queue) Bounds {
	if q.MinRunTime != nil {
		b.MinRun = time.Duration(*q.MinRunTime)
	}
	if q.MaxPreemptions != nil {
		b.Most = *q.MaxPreemptions
	}
	return b
}

// RipeAt is when a live job has run for as long as it may at least, so that others may have its seats.
func (b Bounds) RipeAt(running *nexus.Job) time.Time { return running.Started.Add(b.MinRun) }

// Spared reports whether a live job was preempted so often that it is left alone.
func (b Bounds) Spared(running *nexus.Job) bool { return running.Preemptions >= b.Most }

// Spares reports whether a live job is left alone by one that waits. A critical job still takes the seats of who is less
// urgent: when that ends nobody knows, so it could have to wait for ever. A minimum run time has an end, and it waits for
// that.
func (b Bounds) Spares(waiting, running *nexus.Job) bool {
	return b.Spared(running) && !(waiting.Spec.Priority == nexus.Critical && MayEvict(waiting, running))
}

// ResizableAt is when a live job has run long enough to be resized without need.
func (b Bounds) ResizableAt(running *nexus.Job) time.Time {
	return running.Started.Add(max(ResizeAfter, b.MinRun))
}

// ShrinksAt is when a waiting job may have the nodes that a live one could do without; zero: never. Who may evict it may
// do so as soon, for that is the lesser harm; an equal, or who may not because it is left alone, only once it has run for a
// while, and if it saves. To be resized is not to be preempted: nobody has had enough of it.
func (b Bounds) ShrinksAt(waiting, running *nexus.Job) time.Time {
	switch {
	case MayEvict(waiting, running) && !b.Spares(waiting, running):
		return b.RipeAt(running)
	case running.Spec.Priority <= waiting.Spec.Priority && Saves(running):
		return b.ResizableAt(running)
	}
	return time.Time{}
}
