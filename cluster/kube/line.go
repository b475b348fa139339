package kube

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"ainexus.io/cluster/kube/v1alpha1"
	"ainexus.io/nexus"
)

// Where a job stands in line and when it is expected to start is in its record, so that whoever may read that can ask. A line of
// thousands moves with each job that starts: what was written is written anew only where it is off by enough to matter to
// who waits ([news]), within the same bounds as the numbers of reasons (refresh.go). It says what it is as of.

// Foretell takes in how everybody stands who waits, as of a time.
func (p *Place) Foretell(line []nexus.Why, at time.Time) {
	p.view.mu.Lock()
	defer p.view.mu.Unlock()
	for i := range line {
		w := &line[i]
		if r := p.view.jobs[w.Job]; r != nil && r.held && w.Reason.Code != "" {
			r.line = lineOf(w.Position, w.Start, w.Expected, at)
		}
	}
}

// lineOf is how a job stands, as its record has it.
func lineOf(place int, by time.Time, e *nexus.Estimate, at time.Time) *v1alpha1.Line {
	l := &v1alpha1.Line{AsOf: metav1.NewTime(at), Place: place, StartsBy: metav1.NewTime(by)}
	if e != nil {
		l.Expected = &v1alpha1.Expected{Earliest: metav1.NewTime(e.Low), Likely: metav1.NewTime(e.Median), Latest: metav1.NewTime(e.High)}
	}
	return l
}

// foresee is [lineOf] what a plan says of a job: an estimate stands until there is another one.
func (r *record) foresee(h nexus.Hold, at time.Time) {
	if !h.Reason.Code.InLine() {
		r.start = nil
	} else if h.Start != nil {
		r.start = h.Start
	}
	var by time.Time
	if h.Reason.Code.InLine() {
		by = h.Reason.Until
	}
	r.line = lineOf(h.Place, by, r.start, at)
}

// stand writes where a job stands into its status, in whatever write there is.
func (r *record) stand(s *v1alpha1.JobStatus) {
	switch {
	case s.Phase != string(nexus.Pending) || r.wrong != nil:
		s.Line = nil
	case r.line != nil:
		s.Line = r.line.DeepCopy()
	}
}

// withoutLines notes that the server drops what is written of lines, so that nobody tries again and again.
func (p *Place) withoutLines() {
	p.view.mu.Lock()
	defer p.view.mu.Unlock()
	if !p.view.pruned {
		p.view.pruned = true
		p.log.Warn("the NexusJob of this server is older than the controller: no place in line is told; apply the CRDs of this release")
	}
}

// news reports whether what is known now is so far from what was written that who waits should be told: his place by more
// than a tenth, a date by more than a minute and a tenth of the time until then.
func news(told, now *v1alpha1.Line) bool {
	if told == nil || now == nil {
		return now != nil
	}
	if 10*abs(told.Place-now.Place) > told.Place || dated(told) != dated(now) || off(told.StartsBy, now.StartsBy, now.AsOf) {
		return true
	}
	was, is := told.Expected, now.Expected
	return was != nil && is != nil && (off(was.Likely, is.Likely, now.AsOf) || off(was.Latest, is.Latest, now.AsOf))
}

// dated says which dates are told.
func dated(l *v1alpha1.Line) [2]bool { return [2]bool{!l.StartsBy.IsZero(), l.Expected != nil} }

func off(told, now, asOf metav1.Time) bool {
	by := now.Sub(told.Time).Abs()
	return by > time.Minute && by > told.Sub(asOf.Time).Abs()/10
}

func abs(n int) int { return max(n, -n) }
