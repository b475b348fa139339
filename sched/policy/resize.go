package policy

import (
	"time"

	"ainexus.io/nexus"
)

// ResizeAfter is how long an attempt of an elastic job runs at least before the job is resized without need: it stops
// and starts again for it, so this bounds what resizing costs.
const ResizeAfter = 10 * time.Minute

// RipeAt is when a live job has run long enough to be resized.
func RipeAt(j *nexus.Job) time.Time { return j.Started.Add(ResizeAfter) }

// Saves reports whether a job has shown that it goes on from where it stopped: to one that begins anew more nodes are no
// gift.
func Saves(j *nexus.Job) bool { return j.Spec.Checkpoint != nil && !j.CheckpointAt.IsZero() }

// MayShrink reports whether a waiting job may have the nodes that a running one could do without. Who may evict it may
// do so at any time, for that is the lesser harm; an equal only once it has run for a while, and if it saves.
func MayShrink(waiting, running *nexus.Job, at time.Time) bool {
	if MayEvict(waiting, running) {
		return true
	}
	return running.Spec.Priority == waiting.Spec.Priority && Saves(running) && !RipeAt(running).After(at)
}
