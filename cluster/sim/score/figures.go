package score

import (
	"math"
	"slices"
	"time"
)

// Figures are what a run comes to. Times are seconds.
type Figures struct {
	Jobs     int     `json:"jobs"`
	AvgJCT   float64 `json:"avg_jct_s"`
	P50JCT   float64 `json:"p50_jct_s"`
	P99JCT   float64 `json:"p99_jct_s"`
	AvgQueue float64 `json:"avg_queue_s"`
	MaxQueue float64 `json:"max_queue_s"`
	AvgBSLD  float64 `json:"avg_bsld"`
	// Preemptions are evictions; Losses are attempts that went with a node.
	Preemptions int     `json:"preemptions"`
	Util        float64 `json:"util_pct"`
	// The last two are nil where nobody was given an estimate.
	Coverage *float64 `json:"eta_coverage_80"`
	RelErr   *float64 `json:"eta_median_rel_err"`

	P99Queue  float64 `json:"-"`
	Losses    int     `json:"-"`
	Estimates int     `json:"-"` // how many the last two are made of
}

// leastDuration is what a job's duration counts for at least where its slowdown is taken: else jobs that crash at once
// would decide.
const leastDuration = 600 * time.Second

// Figures works them out.
func (t *Tally) Figures() Figures {
	f := Figures{Jobs: len(t.jobs), Preemptions: t.evictions, Losses: t.losses, Util: round(100*t.Utilisation(), 2)}
	var took, queued, slow []float64
	for _, d := range t.jobs {
		took = append(took, d.took.Seconds())
		queued = append(queued, (d.took - d.work).Seconds())
		slow = append(slow, max(1, d.took.Seconds()/max(d.work, leastDuration).Seconds()))
	}
	slices.Sort(took)
	slices.Sort(queued)
	f.AvgJCT, f.P50JCT, f.P99JCT = round(mean(took), 1), round(quantile(took, 0.5), 1), round(quantile(took, 0.99), 1)
	f.AvgQueue, f.P99Queue, f.MaxQueue = round(mean(queued), 1), round(quantile(queued, 0.99), 1), round(quantile(queued, 1), 1)
	f.AvgBSLD = round(mean(slow), 3)
	f.Estimates = len(t.estimates)
	if f.Estimates > 0 {
		coverage, err := t.estimated()
		f.Coverage, f.RelErr = &coverage, &err
	}
	return f
}

// estimated says how many starts in a hundred lay in their interval, and by how much of the wait the estimates were off,
// in the median.
func (t *Tally) estimated() (coverage, relErr float64) {
	inside := 0
	var errs []float64
	for _, o := range t.estimates {
		if !o.start.Before(o.estimate.Low) && !o.start.After(o.estimate.High) {
			inside++
		}
		wait := max(o.start.Sub(o.at), time.Second)
		errs = append(errs, math.Abs(o.estimate.Median.Sub(o.start).Seconds())/wait.Seconds())
	}
	slices.Sort(errs)
	return round(100*float64(inside)/float64(len(t.estimates)), 2), round(quantile(errs, 0.5), 3)
}

// Utilisation is which part of the GPU time between the tally's two times was held by somebody.
func (t *Tally) Utilisation() float64 {
	span := t.to.Sub(t.from).Seconds() * float64(t.gpus)
	if span <= 0 {
		return 0
	}
	sum := 0.0
	for i, p := range t.series {
		until := t.to
		if i+1 < len(t.series) && t.series[i+1].At.Before(until) {
			until = t.series[i+1].At
		}
		since := p.At
		if since.Before(t.from) {
			since = t.from
		}
		if until.After(since) {
			sum += until.Sub(since).Seconds() * float64(p.Busy)
		}
	}
	return sum / span
}

func mean(sorted []float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	sum := 0.0
	for _, x := range sorted {
		sum += x
	}
	return sum / float64(len(sorted))
}

// quantile interpolates between the neighbours, as NumPy does.
func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	at := q * float64(len(sorted)-1)
	low := int(at)
	high := min(low+1, len(sorted)-1)
	return sorted[low] + (at-float64(low))*(sorted[high]-sorted[low])
}

func round(x float64, digits int) float64 {
	unit := math.Pow10(digits)
	return math.Round(x*unit) / unit
}
