package score

import (
	"time"

	"ainexus.io/cluster/sim"
	"ainexus.io/nexus"
)

// Estimate is when a job was expected to start: the middle of what was thought possible, and an interval that should
// hold the start four times in five.
type Estimate struct {
	Low, Median, High time.Time
}

// Tally gathers what happens in one run. It is told in the order of time.
type Tally struct {
	gpus     int // capacity
	from, to time.Time
	duration func(job string) time.Duration

	jobs      []done
	began     map[string]time.Time // first attempt, by job that is not over
	foretold  map[string]foretold
	estimates []outcome

	evictions, losses int
	busy, waiting     int
	series            []Point
}

// done is a job that is over.
type done struct {
	took, work time.Duration
}

type foretold struct {
	at       time.Time
	estimate Estimate
}

// outcome is an estimate and what became of it.
type outcome struct {
	foretold
	start time.Time
}

// Point is how things stood from an instant on.
type Point struct {
	At      time.Time
	Busy    int // GPUs that living attempts hold; a share counts as the part of a GPU that it is, rounded up
	Waiting int // jobs
}

// New returns a tally of a place with so many GPUs. Utilisation is taken from one time to another. duration is how
// long the work of a job takes without anybody in its way.
func New(gpus int, from, to time.Time, duration func(job string) time.Duration) *Tally {
	return &Tally{
		gpus: gpus, from: from, to: to, duration: duration,
		began: map[string]time.Time{}, foretold: map[string]foretold{},
	}
}

// Observe is told what happens: it is [sim.Options].Tell.
func (t *Tally) Observe(h sim.Happening) {
	id := h.Job.ID
	switch h.Kind {
	case sim.Submitted:
		t.waiting++
	case sim.Began:
		t.waiting--
		t.busy += held(h.Job)
		t.start(h)
	case sim.Ended:
		t.busy -= held(h.Job)
		t.waiting++ // until it is over
		switch h.Cause {
		case nexus.CausePreempt:
			t.evictions++
		case nexus.CauseNode:
			t.losses++
		}
	case sim.Over:
		t.waiting--
		delete(t.began, id)
		delete(t.foretold, id)
		if h.Cause != nexus.CauseCancel {
			t.jobs = append(t.jobs, done{h.At.Sub(h.Job.Submitted), t.duration(id)})
		}
	}
	t.point(h.At)
}

// start settles what was foretold of a job whose first attempt begins.
func (t *Tally) start(h sim.Happening) {
	if _, again := t.began[h.Job.ID]; again {
		return
	}
	t.began[h.Job.ID] = h.At
	if f, ok := t.foretold[h.Job.ID]; ok {
		t.estimates = append(t.estimates, outcome{f, h.At})
	}
}

// Estimated notes when a job was expected to start, as seen at a time. Only the first estimate of a job counts.
func (t *Tally) Estimated(job string, at time.Time, e Estimate) {
	_, started := t.began[job]
	if _, known := t.foretold[job]; !known && !started {
		t.foretold[job] = foretold{at, e}
	}
}

// point remembers how things stand; what happens in one instant leaves one point.
func (t *Tally) point(at time.Time) {
	p := Point{at, t.busy, t.waiting}
	if last := len(t.series) - 1; last >= 0 && t.series[last].At.Equal(at) {
		t.series[last] = p
		return
	}
	t.series = append(t.series, p)
}

// held counts the GPUs of a job's attempt.
func held(j *nexus.Job) int {
	n := 0
	for _, s := range j.Placement.Seats {
		n += len(s.GPUs)
	}
	return n
}

// Over is how many jobs are over and counted.
func (t *Tally) Over() int { return len(t.jobs) }

// Series is how things stood over time. The caller must not change it.
func (t *Tally) Series() []Point { return t.series }

// Took is how long each job took from submission to end, in the order in which they ended.
func (t *Tally) Took() []time.Duration {
	took := make([]time.Duration, len(t.jobs))
	for i, d := range t.jobs {
		took[i] = d.took
	}
	return took
}
