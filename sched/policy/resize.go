package policy

import (
	"time"

	"ainexus.io/nexus"
)

// ResizeAfter is how long an attempt of an elastic job runs at least before the job is resized without need: it stops
// and starts again for it, so this bounds what resizing costs.
const ResizeAfter = 10 * time.Minute

// Saves reports whether a job has shown that it goes on from where it stopped: to one that begins anew more nodes are no
// gift.
func Saves(j *nexus.Job) bool { return j.Spec.Checkpoint != nil && !j.CheckpointAt.IsZero() }
