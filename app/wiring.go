package app

import (
	"context"
	"time"

	"ainexus.io/api"
	"ainexus.io/cluster/local"
	"ainexus.io/engine"
	"ainexus.io/metrics"
	"ainexus.io/nexus"
)

// counter tells metrics of each cycle.
type counter struct{ to *metrics.Registry }

// Observe counts a cycle.
func (c counter) Observe(cycle nexus.Cycle, _ func() nexus.Snapshot) {
	c.to.Cycle(cycle.Took, len(cycle.Plan.Place), len(cycle.Plan.Evict), len(cycle.Dropped), cycle.Waiting)
}

// source lets metrics ask the place.
type source struct{ *local.Place }

// Devices are the GPUs as they were seen within the last second.
func (s source) Devices(ctx context.Context) []metrics.Device {
	sample, err := s.Sample(ctx)
	if err != nil {
		return nil
	}
	return seriesOf(sample)
}

// lateTally breaks a circle: the place tells metrics what happens, and metrics ask the place what is.
type lateTally struct{ to *metrics.Registry }

// Started passes on.
func (t *lateTally) Started(job nexus.Job, waited time.Duration) { t.to.Started(job, waited) }

// Ended passes on.
func (t *lateTally) Ended(job nexus.Job, cause nexus.Cause, charged int) {
	t.to.Ended(job, cause, charged)
}

// explained adds to waiting jobs what only the planner can say: why, in words, and until when.
type explained struct {
	*local.Place
	why *engine.Engine
}

// maxExplained bounds the waiting jobs of a list that are explained.
const maxExplained = 100

// Job gives one job, explained.
func (e explained) Job(ctx context.Context, ref string) (api.JobView, error) {
	v, err := e.Place.Job(ctx, ref)
	if err == nil {
		e.explain(ctx, &v)
	}
	return v, err
}

// List gives jobs, the first of those that wait explained.
func (e explained) List(ctx context.Context, f api.Filter) ([]api.JobView, error) {
	views, err := e.Place.List(ctx, f)
	left := maxExplained
	for i := range views {
		if views[i].Phase == nexus.Pending && left > 0 {
			left--
			e.explain(ctx, &views[i])
		}
	}
	return views, err
}

// Forecast says what would become of a submission.
func (e explained) Forecast(ctx context.Context, s api.Submission) (nexus.Forecast, error) {
	job, err := e.Draft(ctx, s)
	if err != nil {
		return nexus.Forecast{}, err
	}
	return e.why.Forecast(ctx, job)
}

// explain asks the planner. What it does not know yet is left open.
func (e explained) explain(ctx context.Context, v *api.JobView) {
	if v.Phase != nexus.Pending {
		return
	}
	why, err := e.why.Brief(ctx, v.ID)
	if err != nil || why.Phase != v.Phase { // it has moved on meanwhile
		return
	}
	if why.Reason.Code != "" {
		v.Reason = &why.Reason
	}
	v.Sentence, v.ETA, v.Expected = why.Sentence, why.Start, why.Expected
	if why.Expected != nil {
		v.ETA = why.Expected.Median
	}
}
