package local

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ainexus.io/api"
	"ainexus.io/cluster/local/store"
	"ainexus.io/nexus"
)

// Cancel ends a job: at once where it waits, else its agent is asked to stop as for a preemption.
func (p *Place) Cancel(ctx context.Context, ref string) (api.Changed, error) {
	return p.control(ctx, ref, func(_ *store.Tx, r *store.Record) (string, error) {
		switch r.Job.Phase {
		case nexus.Pending:
			r.Job.Phase, r.Job.Finished, r.Job.NotBefore, r.Job.HeldBy = nexus.Cancelled, p.Now(), time.Time{}, ""
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
func (p *Place) Requeue(ctx context.Context, ref string) (api.Changed, error) {
	return p.control(ctx, ref, func(tx *store.Tx, r *store.Record) (string, error) {
		if !r.Job.Phase.Over() {
			return "", &nexus.Error{Code: nexus.CodeConflict, Message: fmt.Sprintf("job %s is not over: %s", r.Job.ID, r.Job.Phase),
				Hint: "cancel it first"}
		}
		again := r.Job
		again.Phase = nexus.Pending
		if _, err := p.fit(again); err != nil {
			return "", err
		}
		if err := awaitAgain(tx, &r.Job); err != nil {
			return "", err
		}
		r.Job.Phase, r.Job.RestartsUsed, r.Job.Preemptions, r.Losses = nexus.Pending, 0, 0, 0
		r.Job.Finished, r.Job.Started, r.Job.Growth = time.Time{}, time.Time{}, nil
		return "requeued", nil
	})
}

// SetPriority changes what decides first about a job that is not over.
func (p *Place) SetPriority(ctx context.Context, ref string, priority nexus.Priority) (api.Changed, error) {
	return p.control(ctx, ref, func(_ *store.Tx, r *store.Record) (string, error) {
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

// Hold keeps a waiting job from starting until it is released.
func (p *Place) Hold(ctx context.Context, ref, by string) (api.Changed, error) {
	return p.control(ctx, ref, func(_ *store.Tx, r *store.Record) (string, error) {
		switch {
		case r.Job.Phase.Over():
			return "", &nexus.Error{Code: nexus.CodeConflict, Message: fmt.Sprintf("job %s is over: %s", r.Job.ID, r.Job.Phase),
				Hint: "there is nothing left to hold"}
		case r.Job.Phase != nexus.Pending:
			return "", &nexus.Error{Code: nexus.CodeConflict,
				Message: fmt.Sprintf("job %s does not wait: it is %s, and only what waits can be held", r.Job.ID, r.Job.Phase),
				Hint:    "nexus cancel stops it; nexus requeue puts it back in line afterwards"}
		case r.Job.HeldBy != "":
			return "", errAsIs
		}
		r.Job.HeldBy = by
		return "held by " + by, nil
	})
}

// Release lets a held job start again.
func (p *Place) Release(ctx context.Context, ref string) (api.Changed, error) {
	return p.control(ctx, ref, func(_ *store.Tx, r *store.Record) (string, error) {
		if r.Job.Phase != nexus.Pending {
			return "", &nexus.Error{Code: nexus.CodeConflict, Message: fmt.Sprintf("job %s is not held: it is %s", r.Job.ID, r.Job.Phase)}
		}
		if r.Job.HeldBy == "" {
			return "", errAsIs
		}
		r.Job.HeldBy = ""
		return "released", nil
	})
}

// errAsIs says that there is nothing to change and nothing wrong.
var errAsIs = errors.New("as it is")

// control changes the job that somebody referred to, or all members of an array in one step. Of an array those that
// the change is not for are passed over, unless it is for none.
func (p *Place) control(ctx context.Context, ref string, edit func(*store.Tx, *store.Record) (string, error)) (api.Changed, error) {
	ids, array, err := p.targets(ctx, ref)
	if err != nil {
		return api.Changed{}, err
	}
	at := p.Now()
	var out api.Changed
	err = p.store.Do(ctx, func(tx *store.Tx) error {
		done, fine := 0, false
		var refused error
		for i, id := range ids {
			job, err := step(tx, id, at, edit)
			if i == 0 || err == nil && done == 0 {
				out.Job = job
			}
			switch {
			case err == nil:
				done++
			case errors.Is(err, errAsIs):
				fine = true
			case !array || !isRefusal(err):
				return err
			case refused == nil:
				refused = err
			}
		}
		if array {
			out.Members = done
		}
		if done == 0 && !fine {
			return refused
		}
		return nil
	})
	if errors.Is(err, store.ErrMissing) {
		err = unknown(ref)
	}
	if err != nil {
		return api.Changed{}, err
	}
	return out, nil
}

// isRefusal reports whether a change was understood and not granted, or came too late, as opposed to failed.
func isRefusal(err error) bool {
	var e *nexus.Error
	return errors.As(err, &e) || errors.Is(err, store.ErrMissing)
}
