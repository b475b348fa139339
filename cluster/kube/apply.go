package kube

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"ainexus.io/cluster/kube/v1alpha1"
	"ainexus.io/nexus"
)

// Apply writes the decisions of a plan into the status of their jobs; who acts on them follows the status (step.go).
// A decision whose basis is gone is dropped. Every job that is placed or evicted comes back in a later delta, whatever
// became of it. Where a write fails, the other decisions are carried out all the same. What is reserved is recorded first:
// nobody is asked for his seats for a job of which no record says that it gets them.
func (p *Place) Apply(ctx context.Context, plan nexus.Plan) error {
	for _, id := range p.view.hold(plan.Hold, plan.At) {
		p.queue.Add(id)
	}
	failed := p.reserveAll(ctx, plan)
	var writes errgroup.Group
	writes.SetLimit(p.opts.Workers)
	var named []string
	for _, d := range plan.Place {
		named = append(named, d.Job)
		writes.Go(func() error { return p.place(ctx, d) })
	}
	for _, d := range plan.Evict {
		named = append(named, d.Job)
		if failed[d.For] == nil {
			writes.Go(func() error { return p.evict(ctx, d) })
		}
	}
	err := writes.Wait()
	for _, job := range slices.Sorted(maps.Keys(failed)) {
		err = errors.Join(err, failed[job])
	}
	p.view.answer(named...)
	if err != nil {
		return fmt.Errorf("recording a plan: %w", err)
	}
	return nil
}

// reserveAll records what a plan keeps for whom, and gives what went wrong, by job. Who starts in the same plan needs no
// record any more.
func (p *Place) reserveAll(ctx context.Context, plan nexus.Plan) map[string]error {
	starts := map[string]bool{}
	for _, d := range plan.Place {
		starts[d.Job] = true
	}
	var writes errgroup.Group
	writes.SetLimit(p.opts.Workers)
	errs := make([]error, len(plan.Reserve))
	for i, r := range plan.Reserve {
		if !starts[r.Job] {
			writes.Go(func() error {
				errs[i] = p.reserve(ctx, r)
				return nil
			})
		}
	}
	_ = writes.Wait() // each error is its job's
	failed := map[string]error{}
	for i, err := range errs {
		if err != nil {
			failed[plan.Reserve[i].Job] = err
		}
	}
	return failed
}

// reserve records what is kept for a job, or that nothing is any more. Why it waits is told in the same write.
func (p *Place) reserve(ctx context.Context, keep nexus.Reservation) error {
	var told nexus.Reason
	err := p.change(ctx, keep.Job, func(r record, s *v1alpha1.JobStatus) (string, error) {
		next := reservationFor(keep)
		if r.job.Phase.Over() || next == nil && s.Reserved == nil || next != nil && r.job.Phase != nexus.Pending && !keep.Resize {
			return "", errMoved
		}
		s.Reserved = next
		if r.job.Phase == nexus.Pending && r.held && r.hold.Code != "" {
			told, s.Phase, s.GPUs = r.hold, string(nexus.Pending), gpusOf(&r.job.Spec)
			s.Reason, s.Message = camel(string(r.hold.Code)), p.view.named(r.hold).Sentence()
		}
		if next == nil || keep.Resize {
			return "", nil
		}
		return "Reserved", nil
	})
	if err == nil && told.Code != "" {
		p.view.toldHold(keep.Job, told, p.Now())
	}
	return unmoved(err)
}

// stopBy is when the kubelet kills what is left of an attempt that is asked to stop now.
func (p *Place) stopBy(r record) metav1.MicroTime {
	return micro(p.Now().Add(time.Duration(graceOf(&r.job.Spec)) * time.Second))
}

// place gives a job its next attempt.
func (p *Place) place(ctx context.Context, d nexus.Placement) error {
	err := p.change(ctx, d.Job, func(r record, s *v1alpha1.JobStatus) (string, error) {
		if r.wrong != nil || r.job.Phase != nexus.Pending || r.job.HeldBy != "" || d.Attempt != r.job.Attempt+1 || len(d.Seats) == 0 {
			return "", errMoved
		}
		s.Phase, s.Attempt, s.Seats = string(nexus.Starting), d.Attempt, seatsFor(d.Seats)
		s.Started, s.NotBefore, s.Stop, s.StopFor = micro(p.Now()), metav1.MicroTime{}, "", ""
		s.GPUs, s.Reserved, s.StuckSince = 0, nil, metav1.MicroTime{}
		if s.User == 0 && p.view.rooted(&r.job.Spec) {
			s.User = user
		}
		for _, seat := range d.Seats {
			if seat.Share == 0 {
				s.GPUs += len(seat.GPUs)
			}
		}
		s.Reason, s.Message = "Admitted", fmt.Sprintf("attempt %d on %s: %s", d.Attempt, nodesOf(d.Seats), d.Seats[0].Because)
		if f := s.Defaults; f != nil {
			s.Message += "; " + defaulted(f)
		}
		p.view.placing(d.Job, d.Attempt)
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
		s.Phase, s.Stop, s.StopFor, s.StopBy = string(nexus.Stopping), string(d.Stop()), d.For, p.stopBy(r)
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
		st, ok := p.view.look(id, p.Now())
		if !ok {
			return errMoved
		}
		next := st.object.DeepCopy()
		event, err := edit(st.record, &next.Status)
		if err != nil {
			return err
		}
		st.stand(&next.Status)
		next.Status.ObservedGeneration = next.Generation
		setConditions(next, p.Now())
		setDurability(next, &st.job.Spec, p.Now())
		setDefaulted(next, p.Now())
		written, err := p.put(ctx, next)
		switch {
		case err == nil && written.UID != next.UID, apierrors.IsNotFound(err):
			return errMoved // it was deleted, and perhaps there is another of that name
		case err == nil:
			if next.Status.Line != nil && written.Status.Line == nil {
				p.withoutLines()
			}
			p.view.setJob(written)
			p.queue.Add(id)
			p.tell(written, event)
			p.count(&st.job, written)
			return nil
		case !apierrors.IsConflict(err):
			return fmt.Errorf("writing the status of %s/%s: %w", next.Namespace, next.Name, err)
		}
		fresh, err := p.fetch(ctx, next)
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
