package local

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ainexus.io/cluster/local/store"
	"ainexus.io/nexus"
)

// Cancel ends a job: at once where it waits, else its agent is asked to stop as for a preemption.
func (p *Place) Cancel(ctx context.Context, ref string) (nexus.Job, error) {
	return p.control(ctx, ref, func(r *store.Record) (string, error) {
		switch r.Job.Phase {
		case nexus.Pending:
			r.Job.Phase, r.Job.Finished, r.Job.NotBefore = nexus.Cancelled, p.Now(), time.Time{}
			return "cancelled while it waited", nil
		case nexus.Starting, nexus.Running:
			r.Job.Phase, r.Job.Stop = nexus.Stopping, nexus.StopCancel
			return "cancelled", nil
		case nexus.Stopping:
			if r.Job.Stop == nexus.StopCancel {
				return "", errAsIs
			}
			r.Job.Stop = nexus.StopCancel
			return "cancelled", nil
		case nexus.Cancelled:
			return "", errAsIs
		}
		return "", &nexus.Error{Code: nexus.CodeConflict, Message: fmt.Sprintf("job %s is over: %s", r.Job.ID, r.Job.Phase),
			Hint: "there is nothing left to cancel"}
	})
}

// Requeue puts a job that is over back in line, with a new attempt and a fresh budget.
func (p *Place) Requeue(ctx context.Context, ref string) (nexus.Job, error) {
	return p.control(ctx, ref, func(r *store.Record) (string, error) {
		if !r.Job.Phase.Over() {
			return "", &nexus.Error{Code: nexus.CodeConflict, Message: fmt.Sprintf("job %s is not over: %s", r.Job.ID, r.Job.Phase),
				Hint: "cancel it first"}
		}
		again := r.Job
		again.Phase = nexus.Pending
		if _, err := p.fit(again); err != nil {
			return "", err
		}
		r.Job.Phase, r.Job.RestartsUsed, r.Job.Preemptions, r.Losses = nexus.Pending, 0, 0, 0
		r.Job.Finished, r.Job.Started = time.Time{}, time.Time{}
		return "requeued", nil
	})
}

// SetPriority changes what decides first about a job that is not over.
func (p *Place) SetPriority(ctx context.Context, ref string, priority nexus.Priority) (nexus.Job, error) {
	return p.control(ctx, ref, func(r *store.Record) (string, error) {
		if r.Job.Phase.Over() {
			return "", &nexus.Error{Code: nexus.CodeConflict, Message: fmt.Sprintf("job %s is over: %s", r.Job.ID, r.Job.Phase),
				Hint: "requeue it first"}
		}
		if r.Job.Spec.Priority == priority {
			return "", errAsIs
		}
		r.Job.Spec.Priority = priority
		return "priority " + priority.String(), nil
	})
}

// errAsIs says that there is nothing to change and nothing wrong.
var errAsIs = errors.New("as it is")

// control changes one job that somebody referred to.
func (p *Place) control(ctx context.Context, ref string, edit func(*store.Record) (string, error)) (nexus.Job, error) {
	id, err := p.resolve(ctx, ref)
	if err != nil {
		return nexus.Job{}, err
	}
	var job nexus.Job
	err = p.change(ctx, id, func(r *store.Record) (string, error) {
		text, err := edit(r)
		job = r.Job
		return text, err
	})
	switch {
	case errors.Is(err, errAsIs):
		return job, nil
	case errors.Is(err, store.ErrMissing):
		return nexus.Job{}, unknown(ref)
	case err != nil:
		return nexus.Job{}, err
	}
	return job, nil
}
