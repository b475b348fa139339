package kube

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"ainexus.io/cluster/kube/v1alpha1"
	"ainexus.io/nexus"
)

// Apply writes the decisions of a plan into the status of their jobs; who acts on them follows the status (step.go).
// A decision whose basis is gone is dropped. Every job that is placed or evicted comes back in a later delta, whatever
// became of it. Where a write fails, the other decisions are carried out all the same.
func (p *Place) Apply(ctx context.Context, plan nexus.Plan) error {
	for _, id := range p.view.hold(plan.Hold) {
		p.queue.Add(id)
	}
	var writes errgroup.Group
	writes.SetLimit(p.opts.Workers)
	var named []string
	for _, d := range plan.Place {
		named = append(named, d.Job)
		writes.Go(func() error { return p.place(ctx, d) })
	}
	for _, d := range plan.Evict {
		named = append(named, d.Job)
		writes.Go(func() error { return p.evict(ctx, d) })
	}
	err := writes.Wait()
	p.view.answer(named...)
	if err != nil {
		return fmt.Errorf("recording a plan: %w", err)
	}
	return nil
}

// place gives a job its next attempt.
func (p *Place) place(ctx context.Context, d nexus.Placement) error {
	err := p.change(ctx, d.Job, func(r record, s *v1alpha1.JobStatus) (string, error) {
		if r.wrong != nil || r.job.Phase != nexus.Pending || r.job.HeldBy != "" || d.Attempt != r.job.Attempt+1 || len(d.Seats) == 0 {
			return "", errMoved
		}
		s.Phase, s.Attempt, s.Seats = string(nexus.Starting), d.Attempt, seatsFor(d.Seats)
		s.Started, s.NotBefore, s.Stop, s.StopFor = micro(p.Now()), metav1.MicroTime{}, "", ""
		s.GPUs = 0
		for _, seat := range d.Seats {
			s.GPUs += len(seat.GPUs)
		}
		s.Reason, s.Message = "Admitted", fmt.Sprintf("attempt %d on %s: %s", d.Attempt, nodesOf(d.Seats), d.Seats[0].Because)
		return "Admitted", nil
	})
	return unmoved(err)
}

// evict asks a living attempt for its seats.
func (p *Place) evict(ctx context.Context, d nexus.Eviction) error {
	err := p.change(ctx, d.Job, func(r record, s *v1alpha1.JobStatus) (string, error) {
		if r.job.Attempt != d.Attempt || r.job.Phase != nexus.Starting && r.job.Phase != nexus.Running {
			return "", errMoved
		}
		s.Phase, s.Stop, s.StopFor = string(nexus.Stopping), string(d.Stop()), d.For
		named := d
		named.For = p.view.named(nexus.Reason{Job: d.For}).Job
		s.Reason, s.Message = "Stopping", named.Sentence(len(s.Seats))
		return "Stopping", nil
	})
	return unmoved(err)
}

// unmoved takes a dropped decision for what it is: no fault.
func unmoved(err error) error {
	if errors.Is(err, errMoved) {
		return nil
	}
	return err
}

// errMoved says that the basis of a decision is gone.
var errMoved = errors.New("the job has moved on")

// tries bounds how often a status that somebody else wrote meanwhile is read again.
const tries = 5

// change is one durable step of one job: edit changes its status and names what happened, for the Event. It sees the
// newest that is known; where that is not the newest there is, it is read and edit judges anew.
func (p *Place) change(ctx context.Context, id string, edit func(r record, s *v1alpha1.JobStatus) (string, error)) error {
	for range tries {
		st, ok := p.view.look(id)
		if !ok {
			return errMoved
		}
		next := st.object.DeepCopy()
		event, err := edit(st.record, &next.Status)
		if err != nil {
			return err
		}
		next.Status.ObservedGeneration = next.Generation
		setConditions(next, p.Now())
		written, err := p.clients.putStatus(ctx, next)
		switch {
		case err == nil && written.UID != next.UID, apierrors.IsNotFound(err):
			return errMoved // it was deleted, and perhaps there is another of that name
		case err == nil:
			p.view.setJob(written)
			p.queue.Add(id)
			p.tell(written, event)
			p.count(&st.job, written)
			return nil
		case !apierrors.IsConflict(err):
			return fmt.Errorf("writing the status of %s/%s: %w", next.Namespace, next.Name, err)
		}
		fresh, err := p.clients.job(ctx, next.Namespace, next.Name)
		switch {
		case apierrors.IsNotFound(err):
			return errMoved
		case err != nil:
			return fmt.Errorf("reading %s/%s: %w", next.Namespace, next.Name, err)
		case fresh.UID != next.UID:
			return errMoved
		}
		p.view.setJob(fresh)
	}
	return fmt.Errorf("the status of job %s was written by somebody else %d times in a row", id, tries)
}

func nodesOf(seats []nexus.Seat) string {
	if len(seats) == 1 {
		return "node " + seats[0].Node
	}
	return fmt.Sprintf("%d nodes from %s on", len(seats), seats[0].Node)
}
