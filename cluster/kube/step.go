package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"ainexus.io/cluster/kube/v1alpha1"
	"ainexus.io/nexus"
)

// What is to be done about a job follows from its record, the Job of its attempt, and the pods:
//
//	phase      Job       pods          what is done
//	Pending    -         -             its reason for waiting is told; a request to stop ends it
//	Starting   never     -             Service and Job are created, when nothing of an earlier attempt is left
//	Starting   there     all run       Running
//	Starting   there     no room       Stopping (unadmit): back in line, nothing is charged
//	Starting,  over      none alive    the attempt is concluded
//	Running    gone      none alive    it was deleted under us: concluded as a lost node
//	Stopping   there     -             the Job is deleted: TERM, the grace, KILL
//	Stopping   gone      none alive    concluded
//	over       -         -             nothing
//
// It returns after how long it wants to look again; 0: when something changes.
func (p *Place) step(ctx context.Context, id string) (time.Duration, error) {
	s, ok := p.view.look(id, p.Now())
	if !ok {
		return 0, nil
	}
	if isForeign(s.object) {
		return p.foreignStep(ctx, s)
	}
	if isArray(&s.job) {
		again, err := p.arrayStep(ctx, s)
		return again, unmoved(err)
	}
	if slices.ContainsFunc(s.stale, undeleted) {
		fresh, err := p.clients.job(ctx, s.object.Namespace, s.object.Name)
		if err != nil {
			return 0, fmt.Errorf("reading %s/%s before Jobs of it are deleted: %w", s.object.Namespace, s.object.Name, err)
		}
		p.view.setJob(fresh) // watches are not told in one order: the Job may be known before the record that it is of
		if s, ok = p.view.look(id, p.Now()); !ok {
			return 0, nil
		}
	}
	for _, old := range s.stale {
		if undeleted(old) {
			if err := p.clients.deleteAttempt(ctx, old); err != nil {
				return 0, fmt.Errorf("deleting Job %s, whose attempt is over: %w", old.Name, err)
			}
		}
	}
	cancelled := p.view.stopped(s.object)
	var again time.Duration
	var err error
	switch phase := s.job.Phase; {
	case phase.Over():
	case phase == nexus.Pending && cancelled:
		err = p.cancelWaiting(ctx, id)
	case phase == nexus.Pending && broken(&s.job) != nil:
		err = p.cancelBroken(ctx, id)
	case phase == nexus.Pending:
		if again, err = p.scaleUp(ctx, s); err == nil {
			err = p.tellReason(ctx, s)
		}
	case cancelled && s.job.Stop != nexus.StopCancel:
		err = p.stopRunning(ctx, id, nexus.StopCancel, "cancelled")
	case phase == nexus.Stopping:
		again, err = p.stopping(ctx, s)
	default:
		again, err = p.living(ctx, s)
	}
	if errors.Is(err, errMoved) {
		return 0, nil // it comes again with what moved it
	}
	return again, err
}

// living goes on with an attempt that nobody asked to stop.
func (p *Place) living(ctx context.Context, s standing) (time.Duration, error) {
	switch {
	case s.batch == nil && len(s.alive()) > 0:
		return s.untilKilled(p.Now()), nil // its Job was deleted; the pods follow
	case s.batch == nil && (slices.ContainsFunc(s.stale, undeleted) || s.haunted):
		return 0, nil // it begins when nothing of an earlier attempt is left
	case s.batch == nil:
		return 0, p.begin(ctx, s)
	case ended(s.batch), s.darkNode() != "":
		if len(s.alive()) > 0 {
			return s.untilKilled(p.Now()), nil
		}
		return 0, p.conclude(ctx, s)
	case s.batch.DeletionTimestamp != nil:
		return s.untilKilled(p.Now()), nil
	}
	if why := s.takenAway(); why != "" {
		return 0, p.stopRunning(ctx, string(s.object.UID), stopLost, why)
	}
	if !s.opened {
		if err := p.opens(ctx, s); err != nil && !notMade(err) { // an earlier controller that knew of none has begun it
			return 0, err
		}
	}
	if s.job.Phase == nexus.Running {
		return s.untilKilled(p.Now()), nil
	}
	if done, err := p.settle(ctx, s); done || err != nil {
		return 0, err
	}
	running := 0
	for _, pod := range s.pods {
		if pod.notRoot && s.object.Status.User == 0 {
			return 0, p.asOther(ctx, s)
		}
		if pod.stuck != "" {
			return p.stuck(ctx, s, pod)
		}
		if pod.running || pod.over {
			running++
		}
		if pod.unschedulable == "" || pod.node != "" {
			continue
		}
		if left := p.roomPatience(&s.job) - p.Now().Sub(pod.since); left > 0 {
			return left, nil
		}
		return 0, p.stopRunning(ctx, string(s.object.UID), stopUnadmit, "no room was found: "+pod.unschedulable)
	}
	if len(s.pods) < len(s.job.Placement.Seats) {
		if s.batch.Status.StartTime == nil {
			return p.notTakenUp(ctx, s)
		}
		if left := s.toBeMade(p.Now()); left > 0 {
			return left, nil
		}
		return 0, p.stopRunning(ctx, string(s.object.UID), stopUnadmit, "no room was found: its pods are not created; kubectl describe job "+s.batch.Name+" says why")
	}
	if running == len(s.job.Placement.Seats) {
		return 0, p.change(ctx, string(s.object.UID), func(r record, st *v1alpha1.JobStatus) (string, error) {
			if !s.still(&r, nexus.Starting) {
				return "", errMoved
			}
			st.Phase, st.StuckSince = string(nexus.Running), metav1.MicroTime{}
			st.Reason, st.Message = "Running", fmt.Sprintf("attempt %d runs on %s", r.job.Attempt, nodesOf(r.job.Placement.Seats))
			return "Running", nil
		})
	}
	return 0, nil
}

// takenAway says why a pod of an attempt is being taken from it, by a drain or since its node is lost: then all of it has to
// go, while there is time to save. What happens to the others once one has failed is its Job's doing.
func (s *standing) takenAway() string {
	if len(s.endings()) > 0 {
		return ""
	}
	for _, p := range s.alive() {
		if p.deleting && p.lost != "" {
			return fmt.Sprintf("pod %s has to leave node %s: %s", p.name, p.node, p.lost)
		}
	}
	return ""
}

// stuck tells that a container cannot be started, and gives the attempt up when that has lasted.
func (p *Place) stuck(ctx context.Context, s standing, pod *pod) (time.Duration, error) {
	id, st := string(s.object.UID), &s.object.Status
	if st.StuckSince.IsZero() || st.Reason != pod.stuck {
		return p.opts.Stuck, p.change(ctx, id, func(r record, st *v1alpha1.JobStatus) (string, error) {
			if !s.still(&r, nexus.Starting) {
				return "", errMoved
			}
			if st.StuckSince.IsZero() {
				st.StuckSince = micro(p.Now())
			}
			st.Reason, st.Message = pod.stuck, pod.stuckWhy
			return pod.stuck, nil
		})
	}
	if left := p.opts.Stuck - p.Now().Sub(st.StuckSince.Time); left > 0 {
		return left, nil
	}
	return 0, p.stopRunning(ctx, id, stopStuck, fmt.Sprintf("given up after %s: %s", p.opts.Stuck, pod.stuckWhy))
}

// notTakenUp waits for the cluster's Job controller to begin with an attempt. That may be behind by thousands of Jobs, and another attempt
// would stand behind them all; so it is told when it lasts, and not given up.
func (p *Place) notTakenUp(ctx context.Context, s standing) (time.Duration, error) {
	const reason = "NotTakenUp"
	if left := p.opts.Stuck - p.Now().Sub(s.job.Started); left > 0 {
		return left, nil
	}
	if s.object.Status.Reason == reason {
		return 0, nil
	}
	return 0, p.change(ctx, string(s.object.UID), func(r record, st *v1alpha1.JobStatus) (string, error) {
		if !s.still(&r, nexus.Starting) {
			return "", errMoved
		}
		st.Reason, st.Message = reason, fmt.Sprintf("the cluster has not begun with Job %s for %s: kube-controller-manager, which makes its pods, is away or far behind", s.batch.Name, p.opts.Stuck)
		return reason, nil
	})
}

// maxCreation is how long the pods of an attempt may take to be there, from when the cluster's Job controller began or made the last of them.
const maxCreation = 2 * time.Minute

// toBeMade is how long it is still waited for pods that are not there; none is left where somebody, such as the ResourceQuota of the
// namespace, will not have them.
func (s *standing) toBeMade(now time.Time) time.Duration {
	last := s.batch.Status.StartTime.Time
	for _, pod := range s.pods {
		if pod.made.After(last) {
			last = pod.made
		}
	}
	return maxCreation - now.Sub(last)
}

// What only a cluster stops attempts for.
const (
	stopUnadmit nexus.StopKind = "unadmit" // the kube-scheduler found no room for it
	stopLost    nexus.StopKind = "lost"    // a pod of it is taken away
	stopStuck   nexus.StopKind = "stuck"   // a container of it cannot be started
	stopUser    nexus.StopKind = "user"    // its image's own user is root
)

// stopRunning asks a living attempt to stop.
func (p *Place) stopRunning(ctx context.Context, id string, kind nexus.StopKind, why string) error {
	return p.change(ctx, id, func(r record, st *v1alpha1.JobStatus) (string, error) {
		if !r.job.Phase.Live() || r.job.Stop == nexus.StopCancel {
			return "", errMoved
		}
		st.Phase, st.Stop, st.StopBy, st.Reason, st.Message = string(nexus.Stopping), string(kind), p.stopBy(r), "Stopping", why
		return "Stopping", nil
	})
}

// stopping has an attempt ended, and concludes it when nothing of it lives.
func (p *Place) stopping(ctx context.Context, s standing) (time.Duration, error) {
	if s.batch != nil && !ended(s.batch) {
		if s.batch.DeletionTimestamp == nil {
			if err := p.clients.deleteAttempt(ctx, s.batch); err != nil {
				return 0, fmt.Errorf("stopping attempt %d of %s/%s: %w", s.job.Attempt, s.object.Namespace, s.object.Name, err)
			}
			return 0, nil
		}
		if s.darkNode() == "" {
			return s.untilKilled(p.Now()), p.heard(ctx, s)
		}
	}
	if len(s.alive()) > 0 {
		return s.untilKilled(p.Now()), p.heard(ctx, s)
	}
	if s.batch == nil { // it may have been created and not told yet
		there, err := p.clients.attempt(ctx, s.object.Namespace, attemptName(s.object.Name, s.job.Attempt))
		if err != nil {
			return 0, fmt.Errorf("looking for the Job of attempt %d: %w", s.job.Attempt, err)
		}
		if there != nil && there.Labels[LabelJob] == string(s.object.UID) && !ended(there) {
			if there.DeletionTimestamp != nil {
				return 0, nil
			}
			return 0, p.clients.deleteAttempt(ctx, there)
		}
	}
	return 0, p.conclude(ctx, s)
}

// heard records that a stopping attempt acknowledged a checkpoint, as soon as one of its pods says so: what says so goes
// with the pod.
func (p *Place) heard(ctx context.Context, s standing) error {
	ack := acknowledgement(s.endings())
	if ack == nil || s.object.Status.Checkpoint != nil && s.object.Status.Checkpoint.Attempt == s.job.Attempt {
		return nil
	}
	return p.change(ctx, string(s.object.UID), func(r record, st *v1alpha1.JobStatus) (string, error) {
		if !s.still(&r, nexus.Stopping) {
			return "", errMoved
		}
		acknowledge(st, r.job.Attempt, ack, p.Now())
		st.Message = fmt.Sprintf("%s; step %d is saved in %s", st.Message, ack.Step, ack.Path)
		return "Saved", nil
	})
}

// cancelWaiting ends a job that has no attempt.
func (p *Place) cancelWaiting(ctx context.Context, id string) error {
	return p.change(ctx, id, func(r record, st *v1alpha1.JobStatus) (string, error) {
		if r.job.Phase != nexus.Pending {
			return "", errMoved
		}
		st.Phase, st.Finished, st.NotBefore, st.Reserved = string(nexus.Cancelled), micro(p.Now()), micro(time.Time{}), nil
		st.Reason, st.Message = "Cancelled", "cancelled while it waited"
		return "Cancelled", nil
	})
}

// tellReason writes why a job waits, where that is news.
func (p *Place) tellReason(ctx context.Context, s standing) error {
	reason, message := "", ""
	switch {
	case s.wrong != nil:
		reason, message = "Invalid", refusal(s.wrong)
	case s.held && s.hold.Code != "":
		reason, message = camel(string(s.hold.Code)), p.view.named(s.hold).Sentence()+p.limit(s)
		if last := s.object.Status.Result; s.hold.Code == nexus.WaitBackoff && last != nil {
			message += ": " + last.Message
		}
	default:
		return nil
	}
	if st := &s.object.Status; st.Reason == reason && st.Phase != "" && (s.wrong == nil && !s.asked || st.Message == message && !news(st.Line, s.line)) {
		if s.asked {
			p.view.toldHold(string(s.object.UID), s.hold, p.Now())
		}
		return nil
	}
	event := reason
	if s.object.Status.Reason == reason {
		event = "" // only its numbers are
	}
	err := p.change(ctx, string(s.object.UID), func(r record, st *v1alpha1.JobStatus) (string, error) {
		if r.job.Phase != nexus.Pending {
			return "", errMoved
		}
		st.Phase, st.Reason, st.Message = string(nexus.Pending), reason, message
		st.GPUs = gpusOf(&r.job.Spec)
		return event, nil
	})
	if err == nil {
		p.view.toldHold(string(s.object.UID), s.hold, p.Now())
	}
	return err
}

// refusal says what is wrong with a spec, in one line.
func refusal(err error) string {
	var several nexus.Errors
	if errors.As(err, &several) && len(several) > 0 {
		err = several[0]
	}
	var one *nexus.Error
	if !errors.As(err, &one) {
		return err.Error()
	}
	text := one.Message
	if one.Field != "" {
		text = "spec." + one.Field + ": " + text
	}
	if one.Hint != "" {
		text += "; " + one.Hint
	}
	return text
}

func undeleted(j *batchv1.Job) bool { return j.DeletionTimestamp == nil }

// ended reports whether a Job has come to its end.
func ended(j *batchv1.Job) bool { return succeeded(j) || failed(j) != nil }

func succeeded(j *batchv1.Job) bool {
	return slices.ContainsFunc(j.Status.Conditions, func(c batchv1.JobCondition) bool {
		return c.Type == batchv1.JobComplete && c.Status == corev1.ConditionTrue
	})
}

// failed is the condition of a Job that failed; nil where it has not.
func failed(j *batchv1.Job) *batchv1.JobCondition {
	for i := range j.Status.Conditions {
		if c := &j.Status.Conditions[i]; c.Type == batchv1.JobFailed && c.Status == corev1.ConditionTrue {
			return c
		}
	}
	return nil
}
