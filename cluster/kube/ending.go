package kube

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"ainexus.io/cluster/kube/v1alpha1"
	"ainexus.io/nexus"
)

// outcome is how an attempt ended, by what it left: its Job, its pods, and the last words of those that are gone.
func outcome(s standing, at time.Time) nexus.Result {
	r := nexus.Result{Attempt: s.job.Attempt, Rank: -1, Ended: at, LostSeconds: -1}
	endings, lost := s.endings(), ""
	for _, p := range s.pods {
		lost = cmp.Or(lost, p.lost)
	}
	r.Ack = acknowledgement(endings)
	if s.batch != nil && succeeded(s.batch) {
		r.OK = true
		return r
	}
	blame := firstEnding(endings)
	if dark := s.darkNode(); dark != "" && blame.said() == nil { // who has said what it ended of, has
		lost = cmp.Or(lost, "node "+dark+" is not ready, and its pod never ended")
	}
	switch stop := s.job.Stop; {
	case stop == nexus.StopCancel:
		r.Cause, r.Message = nexus.CauseCancel, "cancelled"
	case stop == nexus.StopPreempt:
		r.Cause, r.Message = nexus.CausePreempt, "its seats went to somebody else"
	case stop == nexus.StopResize:
		r.Cause, r.Message = nexus.CauseResize, "it goes on with another number of nodes"
	case stop == stopUnadmit:
		r.Cause, r.Message = nexus.CauseNode, cmp.Or(s.object.Status.Message, "no room was found")
	case stop == stopLost:
		r.Cause, r.Message = nexus.CauseNode, cmp.Or(s.object.Status.Message, "a pod of it was taken away")
	case stop == stopUser:
		r.Cause, r.Message = nexus.CauseSetup, s.object.Status.Message
	case stop == stopStuck:
		r.Cause, r.Message = nexus.CauseSetup, s.object.Status.Message
	case s.batch != nil && failed(s.batch) != nil && failed(s.batch).Reason == batchv1.JobReasonDeadlineExceeded:
		r.Cause, r.Message = nexus.CauseTimeout, fmt.Sprintf("max_duration of %s is over", s.job.Spec.MaxDuration)
	case lost != "":
		r.Cause, r.Message = nexus.CauseNode, lost
	case blame == nil && s.batch == nil:
		r.Cause, r.Message = nexus.CauseNode, "its Job was deleted"
	case blame == nil:
		r.Cause, r.Message = nexus.CauseNode, "its pods were deleted"
	default:
		r.Cause, r.Exit, r.Message = nexus.CauseExit, blame.exit, fmt.Sprintf("node %d of the job ended with exit code %d", blame.index, blame.exit)
		if blame.oom {
			r.Cause, r.Message = nexus.CauseOOM, fmt.Sprintf("node %d of the job ran out of memory", blame.index)
		}
		if said := blame.said(); said != nil && said.Cause != "" {
			r.Cause, r.Exit, r.Message, r.Rank = said.Cause, said.Exit, said.Message, said.Rank
		}
	}
	if r.Exit == 0 {
		r.Exit = 1
	}
	return r
}

// acknowledgement is what the agents of an attempt said that they saved; nil: nothing, as far as is known.
func acknowledgement(endings []*ending) (ack *nexus.Ack) {
	for _, e := range endings {
		if said := e.said(); said != nil && said.Ack != nil {
			ack = said.Ack
		}
	}
	return ack
}

// maxBackoff bounds the pause between attempts.
const maxBackoff = 5 * time.Minute

// conclude records the end of an attempt and what follows from it. No restart is handed out to an attempt: whoever
// deletes what is below the record gains and loses none.
func (p *Place) conclude(ctx context.Context, s standing) error {
	if s.job.Spec.Resources.Share() {
		if err := p.clients.deleteClaim(ctx, s.object.Namespace, attemptName(s.object.Name, s.job.Attempt), string(s.object.UID)); err != nil && !apierrors.IsForbidden(err) {
			return fmt.Errorf("deleting what the claims of attempt %d of %s/%s are made from: %w", s.job.Attempt, s.object.Namespace, s.object.Name, err)
		}
	}
	if err := p.ungroup(ctx, s); err != nil {
		return err
	}
	at := p.Now()
	return p.change(ctx, string(s.object.UID), func(r record, st *v1alpha1.JobStatus) (string, error) {
		if r.job.Attempt != s.job.Attempt || !r.job.Phase.Live() || r.job.Stop != s.job.Stop {
			return "", errMoved
		}
		return p.end(r, st, outcome(s, at), at), nil
	})
}

// end turns the record of a job whose attempt is over into what it is next.
func (p *Place) end(r record, st *v1alpha1.JobStatus, result nexus.Result, at time.Time) string {
	spec, unadmitted := &r.job.Spec, r.job.Stop == stopUnadmit
	st.Result = &v1alpha1.Result{Attempt: result.Attempt, OK: result.OK, Cause: string(result.Cause), Exit: result.Exit, Message: result.Message, Ended: micro(at)}
	st.Seats, st.Stop, st.StopFor = nil, "", ""
	st.StopBy, st.NotBefore, st.StuckSince = metav1.MicroTime{}, metav1.MicroTime{}, metav1.MicroTime{}
	if st.Reserved != nil && (!st.Reserved.Resize || result.Cause != nexus.CauseResize) {
		st.Reserved = nil
	}
	if result.Ack != nil {
		acknowledge(st, result.Attempt, result.Ack, at)
	}
	again := answered(spec.Restart.On, result.Cause)
	back := func(reason string, losses int, pause time.Duration) string {
		st.Phase, st.Reason, st.Message, st.Losses = string(nexus.Pending), reason, "back in line: "+result.Message, losses
		st.Served.Duration += max(0, at.Sub(r.job.Started))
		if pause > 0 {
			st.NotBefore = micro(at.Add(pause))
		}
		return reason
	}
	over := func(phase nexus.Phase, message string) string {
		st.Phase, st.Reason, st.Message, st.Finished, st.Losses = string(phase), string(phase), message, micro(at), 0
		return string(phase)
	}
	switch {
	case result.OK:
		return over(nexus.Succeeded, "done")
	case result.Cause == nexus.CauseCancel:
		return over(nexus.Cancelled, result.Message)
	case result.Cause == nexus.CausePreempt && again:
		st.Preemptions++
		return back("Preempted", 0, 0)
	case result.Cause == nexus.CauseResize:
		return back("Resized", 0, 0)
	case r.job.Stop == stopUser:
		back("OtherUser", st.Losses, 0)
		return "" // it was told when it was given up
	case unadmitted:
		return back("NoRoom", st.Losses+1, p.pause(st.Losses))
	case result.Cause == nexus.CauseNode && again:
		losses := st.Losses
		if at.Sub(r.job.Started) > maxBackoff {
			losses = 0
		}
		return back("NodeLost", losses+1, p.pause(losses))
	case result.Cause.Charged() && again && st.RestartsUsed < spec.Restart.Max:
		pause := p.pause(st.RestartsUsed)
		st.RestartsUsed++
		return back("Restarting", 0, pause)
	}
	return over(nexus.Failed, result.Message)
}

// answered reports whether a job is to go on after a cause. Running out of memory is an exit to who does not name it, as
// the launcher has it on one machine.
func answered(on []nexus.Cause, cause nexus.Cause) bool {
	return slices.Contains(on, cause) || cause == nexus.CauseOOM && slices.Contains(on, nexus.CauseExit)
}

// acknowledge records a checkpoint, unless it has been.
func acknowledge(st *v1alpha1.JobStatus, attempt int, ack *nexus.Ack, at time.Time) {
	saved := v1alpha1.Saved{Attempt: attempt, Step: ack.Step, Path: ack.Path}
	if st.Checkpoint == nil || *st.Checkpoint != saved {
		st.Checkpoint, st.CheckpointAt = &saved, micro(at)
	}
}

// pause is how long a job waits after so many misfortunes in a row before this one.
func (p *Place) pause(before int) time.Duration {
	pause := p.opts.Backoff
	for range min(before, 20) {
		pause = min(2*pause, maxBackoff)
	}
	return pause
}

// refused ends an attempt whose Job the API server will not have.
func (p *Place) refused(ctx context.Context, s standing, why error) error {
	at := p.Now()
	return p.change(ctx, string(s.object.UID), func(r record, st *v1alpha1.JobStatus) (string, error) {
		if !s.still(&r, nexus.Starting) {
			return "", errMoved
		}
		return p.end(r, st, nexus.Result{Attempt: s.job.Attempt, Cause: nexus.CauseSetup, Exit: 1, Message: "its Job was refused: " + why.Error()}, at), nil
	})
}
