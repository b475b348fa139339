package local

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ainexus.io/cluster/local/store"
	"ainexus.io/nexus"
	"ainexus.io/sched/policy"
)

// Changes blocks until something changed since the last call and returns it: everything there is at first, then each
// job and the node as they now stand. When [Place.Now] reaches until (zero: no limit) it returns an empty delta.
func (p *Place) Changes(ctx context.Context, until time.Time) (nexus.Delta, error) {
	patience := time.Duration(-1)
	if !until.IsZero() {
		patience = max(0, until.Sub(p.Now()))
	}
	return p.view.wait(ctx, patience)
}

// Apply makes the decisions of a plan durable, all in one step; who acts on them follows the records. A decision whose
// basis is gone (the phase or the attempt moved) is dropped. Every job that is placed or evicted comes back in a
// later delta, whatever became of it, also when Apply fails and nothing was decided.
func (p *Place) Apply(ctx context.Context, plan nexus.Plan) error {
	at := p.Now()
	waiting := p.view.hold(plan.Hold)
	if len(plan.Place)+len(plan.Evict)+len(waiting) == 0 {
		return nil
	}
	var named []string
	var started []nexus.Job
	starts := p.view.expected(plan.Place)
	for _, d := range plan.Place {
		named = append(named, d.Job)
	}
	for _, d := range plan.Evict {
		named = append(named, d.Job)
	}
	err := p.store.Do(ctx, func(tx *store.Tx) error {
		for _, d := range plan.Place {
			job, err := place(tx, d, at)
			if err != nil {
				return err
			}
			if job != nil {
				started = append(started, *job)
			}
		}
		for _, d := range plan.Evict {
			if err := evict(tx, d, at); err != nil {
				return err
			}
		}
		for _, h := range waiting[:min(len(waiting), maxHolds)] {
			if err := tx.Event(nexus.Event{At: at, Job: h.Job, Kind: nexus.EventHold, Message: "waits: " + h.Reason.Sentence()}); err != nil {
				return err
			}
		}
		return nil
	})
	p.opts.passed("decided")
	p.view.answer(named...)
	if err != nil {
		return fmt.Errorf("recording a plan: %w", err)
	}
	for i := range started {
		job := &started[i]
		if e, ok := starts[job.ID]; ok {
			p.learn(func(l *policy.Learner) { l.Started(job, e) })
		}
		if p.opts.Tally != nil {
			p.opts.Tally.Started(*job, at.Sub(job.Submitted))
		}
	}
	return nil
}

// maxHolds is how many changed reasons of one plan are told as events; in a burst the rest can be asked for.
const maxHolds = 200

// place gives a job its next attempt; nil when the job is no longer what the plan was made for.
func place(tx *store.Tx, d nexus.Placement, at time.Time) (*nexus.Job, error) {
	r, err := tx.Job(d.Job)
	if errors.Is(err, store.ErrMissing) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if r.Job.Phase != nexus.Pending || r.Job.HeldBy != "" || d.Attempt != r.Job.Attempt+1 || len(d.Seats) != 1 {
		return nil, nil
	}
	r.Job.Phase, r.Job.Attempt, r.Job.Placement = nexus.Starting, d.Attempt, &d
	r.Job.Started, r.Job.NotBefore, r.Job.Stop, r.Job.StopFor = at, time.Time{}, "", ""
	if err := tx.Update(r); err != nil {
		return nil, err
	}
	return &r.Job, tx.Event(nexus.Event{At: at, Job: d.Job, Attempt: d.Attempt, Kind: nexus.EventPhase,
		Message: "Starting: " + d.Seats[0].Because})
}

// evict asks a living attempt for its seats.
func evict(tx *store.Tx, d nexus.Eviction, at time.Time) error {
	r, err := tx.Job(d.Job)
	if errors.Is(err, store.ErrMissing) {
		return nil
	}
	if err != nil {
		return err
	}
	if r.Job.Attempt != d.Attempt || r.Job.Phase != nexus.Starting && r.Job.Phase != nexus.Running {
		return nil
	}
	r.Job.Phase, r.Job.Stop, r.Job.StopFor = nexus.Stopping, d.Stop(), d.For
	if err := tx.Update(r); err != nil {
		return err
	}
	return tx.Event(nexus.Event{At: at, Job: d.Job, Attempt: d.Attempt, Kind: nexus.EventPhase,
		Message: "Stopping: " + d.Sentence(len(r.Job.Placement.Seats))})
}
