package local

import (
	"testing"
	"time"

	"ainexus.io/cluster/local/store"
	"ainexus.io/nexus"
)

// How an attempt ended decides what its job is next, and what it cost.
func TestEndings(t *testing.T) {
	all := []nexus.Cause{nexus.CauseExit, nexus.CauseHang, nexus.CauseNode, nexus.CausePreempt}
	at := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	result := func(cause nexus.Cause) *nexus.Result {
		return &nexus.Result{OK: cause == "", Cause: cause, Message: "so it was"}
	}
	left := func(n int) *nexus.Rounds { return &nexus.Rounds{RestartsLeft: n} }
	for _, row := range []struct {
		story      string
		max, used  int
		on         []nexus.Cause
		stop       nexus.StopKind
		losses     int
		left       leftBehind
		phase      nexus.Phase
		usedAfter  int
		cause      nexus.Cause
		pause      time.Duration
		preempted  int
		lossesLeft int
	}{
		{story: "it did its work", left: leftBehind{result: result(""), rounds: left(0)}, phase: nexus.Succeeded},
		{story: "it did its work at the second try", max: 3, left: leftBehind{result: result(""), rounds: left(2)}, phase: nexus.Succeeded, usedAfter: 1},
		{story: "it did its work though it was being cancelled", stop: nexus.StopCancel, left: leftBehind{result: result("")}, phase: nexus.Succeeded},
		{story: "its budget is used up", max: 3, left: leftBehind{result: result(nexus.CauseExit), rounds: left(0)}, phase: nexus.Failed,
			usedAfter: 3, cause: nexus.CauseExit},
		{story: "an earlier attempt had used a part", max: 3, used: 2, left: leftBehind{result: result(nexus.CauseHang), rounds: left(0)},
			phase: nexus.Failed, usedAfter: 3, cause: nexus.CauseHang},
		{story: "setup failed", max: 3, left: leftBehind{result: result(nexus.CauseSetup)}, phase: nexus.Failed, cause: nexus.CauseSetup},
		{story: "it ran too long", left: leftBehind{result: result(nexus.CauseTimeout)}, phase: nexus.Failed, cause: nexus.CauseTimeout},
		{story: "it took more than its share", stop: nexus.StopShare, left: leftBehind{result: result(nexus.CauseShare)}, phase: nexus.Failed, cause: nexus.CauseShare},
		{story: "it took more than its share and its agent died", stop: nexus.StopShare, left: leftBehind{begun: true, rounds: left(0)}, phase: nexus.Failed, cause: nexus.CauseShare},
		{story: "it was cancelled", stop: nexus.StopCancel, left: leftBehind{result: result(nexus.CauseCancel)}, phase: nexus.Cancelled, cause: nexus.CauseCancel},
		{story: "it was cancelled while it yielded", stop: nexus.StopCancel, left: leftBehind{result: result(nexus.CausePreempt)}, phase: nexus.Cancelled, cause: nexus.CauseCancel},
		{story: "its agent died while it was cancelled", stop: nexus.StopCancel, left: leftBehind{begun: true, rounds: left(0)}, phase: nexus.Cancelled, cause: nexus.CauseCancel},
		{story: "it yielded", stop: nexus.StopPreempt, losses: 3, left: leftBehind{result: result(nexus.CausePreempt)}, phase: nexus.Pending,
			cause: nexus.CausePreempt, preempted: 1},
		{story: "it yielded before anybody began it", stop: nexus.StopPreempt, left: leftBehind{}, phase: nexus.Pending,
			cause: nexus.CausePreempt, preempted: 1},
		{story: "it yielded and does not want another try", on: []nexus.Cause{nexus.CauseExit}, stop: nexus.StopPreempt,
			left: leftBehind{result: result(nexus.CausePreempt)}, phase: nexus.Failed, cause: nexus.CausePreempt},
		{story: "its agent was killed: not charged", max: 2, left: leftBehind{begun: true, rounds: left(2)}, phase: nexus.Pending,
			cause: nexus.CauseNode, pause: time.Second, lossesLeft: 1},
		{story: "for the fourth time in a row", max: 2, losses: 3, left: leftBehind{begun: true, rounds: left(1)}, phase: nexus.Pending, usedAfter: 1,
			cause: nexus.CauseNode, pause: 8 * time.Second, lossesLeft: 4},
		{story: "for the fortieth time", losses: 39, left: leftBehind{}, phase: nexus.Pending, cause: nexus.CauseNode, pause: maxBackoff, lossesLeft: 40},
		{story: "its agent was killed and the record is gone: all is charged", max: 2, left: leftBehind{begun: true}, phase: nexus.Pending,
			usedAfter: 2, cause: nexus.CauseNode, pause: time.Second, lossesLeft: 1},
		{story: "resized", max: 2, on: []nexus.Cause{nexus.CauseExit}, stop: nexus.StopResize, left: leftBehind{begun: true, rounds: left(2), result: result(nexus.CauseResize)}, phase: nexus.Pending, cause: nexus.CauseResize},
		{story: "resized before it began", max: 2, stop: nexus.StopResize, phase: nexus.Pending, cause: nexus.CauseResize},
		{story: "cancelled while it was being resized", max: 2, stop: nexus.StopCancel, left: leftBehind{begun: true, rounds: left(2), result: result(nexus.CauseResize)}, phase: nexus.Cancelled, cause: nexus.CauseCancel},
		{story: "nobody ever began it", max: 2, left: leftBehind{trouble: "no such file"}, phase: nexus.Pending, cause: nexus.CauseNode,
			pause: time.Second, lossesLeft: 1},
		{story: "its agent was killed and it does not want another try", on: []nexus.Cause{nexus.CauseExit}, left: leftBehind{begun: true}, phase: nexus.Failed, cause: nexus.CauseNode},
		{story: "a record that claims more than was handed out", max: 2, left: leftBehind{result: result(""), rounds: left(7)}, phase: nexus.Succeeded},
		{story: "a record that claims less than nothing", max: 2, left: leftBehind{result: result(nexus.CauseExit), rounds: left(-5)}, phase: nexus.Failed,
			usedAfter: 2, cause: nexus.CauseExit},
	} {
		t.Run(row.story, func(t *testing.T) {
			if row.on == nil {
				row.on = all
			}
			r := store.Record{Job: nexus.Job{ID: "j", Attempt: 1, Phase: nexus.Running, Stop: row.stop, RestartsUsed: row.used,
				Started: at.Add(-time.Minute), Placement: &nexus.Placement{}, Spec: nexus.Spec{Restart: nexus.Restart{Max: row.max, On: row.on}}}}
			r.Losses = row.losses
			if row.stop != "" {
				r.Job.Phase = nexus.Stopping
			}
			row.left.at, row.left.backoff = at, time.Second
			if text := end(&r, row.left); text == "" {
				t.Error("nothing was said")
			}
			job := r.Job
			if job.Phase != row.phase || job.RestartsUsed != row.usedAfter || job.Result.Cause != row.cause || job.Preemptions != row.preempted ||
				r.Losses != row.lossesLeft {
				t.Errorf("it is %s, restarts %d, cause %q, preemptions %d, losses %d", job.Phase, job.RestartsUsed, job.Result.Cause, job.Preemptions, r.Losses)
			}
			if job.Placement != nil || job.Stop != "" || job.Phase.Over() != job.Finished.Equal(at) {
				t.Errorf("its record is %+v", job)
			}
			if pause := job.NotBefore.Sub(at); row.pause > 0 && pause != row.pause || row.pause == 0 && !job.NotBefore.IsZero() {
				t.Errorf("it pauses until %v", job.NotBefore)
			}
		})
	}
}

func TestALongRunBreaksARowOfLosses(t *testing.T) {
	at := time.Now()
	r := store.Record{Job: nexus.Job{Attempt: 9, Phase: nexus.Running, Started: at.Add(-time.Hour),
		Spec: nexus.Spec{Restart: nexus.Restart{On: []nexus.Cause{nexus.CauseNode}}}}}
	r.Losses = 8
	end(&r, leftBehind{at: at, backoff: time.Second})
	if r.Losses != 1 || r.Job.NotBefore.Sub(at) != time.Second {
		t.Errorf("losses %d, pause %v", r.Losses, r.Job.NotBefore.Sub(at))
	}
}
