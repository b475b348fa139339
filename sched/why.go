package sched

import (
	"fmt"
	"time"

	"ainexus.io/nexus"
	"ainexus.io/sched/policy"
)

// Explainer answers why jobs wait in one snapshot. It plans once and may be used by several at a time.
type Explainer struct {
	snapshot  nexus.Snapshot
	policy    policy.Policy
	jobs      map[string]*nexus.Job
	reasons   map[string]nexus.Reason
	starts    map[string]time.Time // of who keeps a claim, or would: see [claim]
	expected  map[string]*nexus.Estimate
	line      []string // who waits, in the order in which they are looked at
	positions map[string]int
	places    map[string]bool
}

// Explain plans a snapshot in order to explain it.
func Explain(s nexus.Snapshot, p policy.Policy) *Explainer {
	x := &Explainer{
		snapshot: s, policy: p, jobs: make(map[string]*nexus.Job, len(s.Jobs)), reasons: map[string]nexus.Reason{},
		starts: map[string]time.Time{}, expected: map[string]*nexus.Estimate{}, positions: map[string]int{}, places: map[string]bool{},
	}
	for i := range s.Jobs {
		x.jobs[s.Jobs[i].ID] = &s.Jobs[i]
	}
	planner := New(p)
	planner.explains = true
	_, plan := planner.plan(s)
	for _, placed := range plan.Place {
		x.places[placed.Job] = true
	}
	for _, h := range plan.Hold {
		x.reasons[h.Job] = h.Reason
		x.expected[h.Job] = within(h.Start, x.latest(h.Reason))
	}
	for _, cl := range planner.claims {
		x.starts[cl.entry.job.ID] = cl.start
	}
	for _, s := range planner.turns {
		if planner.waits(s.entry) {
			x.line = append(x.line, s.entry.job.ID)
			x.positions[s.entry.job.ID] = len(x.line)
		}
	}
	return x
}

// Line is the brief answer for everybody who waits, by place in line.
func (x *Explainer) Line() []nexus.Why {
	line := make([]nexus.Why, len(x.line))
	for i, job := range x.line {
		line[i], _ = x.Brief(job) // they are all known
	}
	return line
}

// Snapshot is what is explained: read only.
func (x *Explainer) Snapshot() nexus.Snapshot { return x.snapshot }

// Why says why one job of a snapshot waits. Who asks about several uses [Explain]. Errors are
// [nexus.Error].
func Why(s nexus.Snapshot, p policy.Policy, job string) (nexus.Why, error) {
	return Explain(s, p).Why(job)
}

// Why says why one job waits, when it starts if that can be known, and the smallest change to it that
// would start it now. Errors are [nexus.Error].
func (x *Explainer) Why(job string) (nexus.Why, error) {
	w, err := x.Brief(job)
	if err == nil && w.Reason.Code != "" {
		w.Fix = x.fix(x.jobs[job], w.Reason)
	}
	return w, err
}

// Brief is Why without a change that would help: to find one takes a plan for each that is tried.
func (x *Explainer) Brief(job string) (nexus.Why, error) {
	j := x.jobs[job]
	if j == nil {
		return nexus.Why{}, &nexus.Error{
			Code: nexus.CodeNotFound, Message: fmt.Sprintf("no job %s waits or runs", job), Hint: "nexus ps lists the jobs",
		}
	}
	w := nexus.Why{Job: job, Phase: j.Phase}
	if j.Phase != nexus.Pending {
		w.Sentence = map[nexus.Phase]string{
			nexus.Starting: "it does not wait: it is starting",
			nexus.Running:  "it does not wait: it runs",
			nexus.Stopping: "it does not wait: it is stopping",
		}[j.Phase]
		return w, nil
	}
	if x.places[job] {
		w.Sentence = "it does not wait any more: it is about to start"
		return w, nil
	}
	w.Reason, w.Position, w.Expected = x.reasons[job], x.positions[job], x.expected[job]
	if w.Reason.Code.InLine() {
		w.Start = w.Reason.Until
	}
	w.Sentence = x.named(j, w.Reason).Sentence()
	return w, nil
}

// latest is when a job starts at the latest, as far as its reason tells: at the date that it promises, or when who is asked
// for his seats then has had the time to save; zero: nobody knows.
func (x *Explainer) latest(r nexus.Reason) time.Time {
	if r.From.IsZero() {
		return r.Until
	}
	if v := x.jobs[r.Yields]; v.Spec.Checkpoint != nil {
		return r.From.Add(time.Duration(v.Spec.Checkpoint.Grace))
	}
	return r.From
}

// named puts the names of the jobs that a reason tells of beside their ids.
func (x *Explainer) named(j *nexus.Job, r nexus.Reason) nexus.Reason {
	r.Yields = x.nameOf(r.Yields)
	for _, d := range j.After {
		if r.Code == nexus.WaitAfter && d.Job == r.Job && d.Name != "" {
			r.Job = fmt.Sprintf("%s (%s)", d.Name, d.Job)
			return r
		}
	}
	r.Job = x.nameOf(r.Job)
	return r
}

func (x *Explainer) nameOf(id string) string {
	if j := x.jobs[id]; j != nil && j.Spec.Name != "" {
		return fmt.Sprintf("%s (%s)", j.Spec.Name, id)
	}
	return id
}
