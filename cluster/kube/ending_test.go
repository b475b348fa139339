package kube

import (
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"ainexus.io/cluster/kube/v1alpha1"
	"ainexus.io/nexus"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func finished(kind batchv1.JobConditionType, reason string) *batchv1.Job {
	return &batchv1.Job{Status: batchv1.JobStatus{Conditions: []batchv1.JobCondition{{Type: kind, Status: corev1.ConditionTrue, Reason: reason}}}}
}

// What an attempt left says how it ended, and that decides what the job is next. The budget pays for exit and oom, for
// nothing else, and it is the record's: what was below is gone in half of these.
func TestEndings(t *testing.T) {
	exit := func(index, code int, after time.Duration) *pod {
		return &pod{over: true, end: &ending{index: index, exit: code, at: noon.Add(after)}}
	}
	all := []nexus.Cause{nexus.CauseExit, nexus.CauseHang, nexus.CauseNode, nexus.CausePreempt}
	for _, c := range []struct {
		name   string
		stop   nexus.StopKind
		max    int
		used   int
		on     []nexus.Cause
		batch  *batchv1.Job
		pods   []*pod
		left   []*ending
		cause  nexus.Cause
		exit   int
		phase  nexus.Phase
		charge int // RestartsUsed afterwards
		back   bool
	}{
		{name: "all is done", batch: finished(batchv1.JobComplete, ""), phase: nexus.Succeeded},
		{name: "done while it was to stop", stop: nexus.StopPreempt, batch: finished(batchv1.JobComplete, ""), phase: nexus.Succeeded},
		{name: "a worker fails, no budget", batch: finished(batchv1.JobFailed, ""), pods: []*pod{exit(0, 143, 2), exit(1, 3, 1)}, cause: nexus.CauseExit, exit: 3, phase: nexus.Failed},
		{name: "a worker fails, budget", max: 2, used: 1, batch: finished(batchv1.JobFailed, ""), pods: []*pod{exit(0, 1, 0)}, cause: nexus.CauseExit, exit: 1, phase: nexus.Pending, charge: 2, back: true},
		{name: "the budget is used up", max: 2, used: 2, batch: finished(batchv1.JobFailed, ""), pods: []*pod{exit(0, 1, 0)}, cause: nexus.CauseExit, exit: 1, phase: nexus.Failed, charge: 2},
		{name: "exit is not to be answered", max: 2, on: []nexus.Cause{nexus.CauseNode}, batch: finished(batchv1.JobFailed, ""), pods: []*pod{exit(0, 1, 0)}, cause: nexus.CauseExit, exit: 1, phase: nexus.Failed},
		{name: "out of memory", batch: finished(batchv1.JobFailed, ""), pods: []*pod{{over: true, end: &ending{exit: 137, oom: true}}}, cause: nexus.CauseOOM, exit: 137, phase: nexus.Failed},
		{name: "out of memory, budget", max: 1, batch: finished(batchv1.JobFailed, ""), pods: []*pod{{over: true, end: &ending{exit: 137, oom: true}}}, cause: nexus.CauseOOM, exit: 137, phase: nexus.Pending, charge: 1, back: true},
		{name: "the node went away", used: 1, batch: finished(batchv1.JobFailed, ""), pods: []*pod{{over: true, lost: "the node went away"}, exit(1, 143, 0)}, cause: nexus.CauseNode, exit: 1, phase: nexus.Pending, charge: 1, back: true},
		{name: "node is not to be answered", on: []nexus.Cause{nexus.CauseExit}, batch: finished(batchv1.JobFailed, ""), pods: []*pod{{over: true, lost: "gone"}}, cause: nexus.CauseNode, exit: 1, phase: nexus.Failed},
		{name: "its Job was deleted", max: 1, used: 1, cause: nexus.CauseNode, exit: 1, phase: nexus.Pending, charge: 1, back: true},
		{name: "its Job was deleted after a failure", max: 1, left: []*ending{{exit: 5}}, cause: nexus.CauseExit, exit: 5, phase: nexus.Pending, charge: 1, back: true},
		{name: "a pod was deleted", max: 1, batch: finished(batchv1.JobFailed, ""), left: []*ending{{exit: 143, deleted: true}}, pods: []*pod{{over: true, end: &ending{exit: 143, deleted: true}}}, cause: nexus.CauseNode, exit: 1, phase: nexus.Pending, back: true},
		{name: "too long", batch: finished(batchv1.JobFailed, batchv1.JobReasonDeadlineExceeded), pods: []*pod{exit(0, 143, 0)}, cause: nexus.CauseTimeout, exit: 1, phase: nexus.Failed},
		{name: "cancelled", stop: nexus.StopCancel, left: []*ending{{exit: 143}}, cause: nexus.CauseCancel, exit: 1, phase: nexus.Cancelled},
		{name: "preempted", stop: nexus.StopPreempt, left: []*ending{{exit: 143}}, cause: nexus.CausePreempt, exit: 1, phase: nexus.Pending, back: true},
		{name: "no room was found, though node is not to be answered", stop: stopUnadmit, on: []nexus.Cause{nexus.CauseExit}, cause: nexus.CauseNode, exit: 1, phase: nexus.Pending, back: true},
		{name: "the agent's word counts", max: 1, batch: finished(batchv1.JobFailed, ""), pods: []*pod{{over: true, end: &ending{exit: 1, message: `{"attempt":1,"cause":"hang","exit":1,"rank":3,"message":"rank 3 makes no progress"}`}}}, cause: nexus.CauseHang, exit: 1, phase: nexus.Pending, charge: 1, back: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.on == nil {
				c.on = all
			}
			job := nexus.Job{ID: "a", Attempt: 1, Phase: nexus.Running, Stop: c.stop, Started: noon, RestartsUsed: c.used, Spec: nexus.Spec{Restart: nexus.Restart{Max: c.max, On: c.on}}}
			r := record{object: object("a", "1", nexus.Running, 1), job: job}
			result := outcome(standing{record: r, batch: c.batch, pods: c.pods, left: c.left}, noon)
			p, st := &Place{opts: Options{}.withDefaults()}, v1alpha1.JobStatus{RestartsUsed: c.used, Attempt: 1, Seats: r.object.Status.Seats}
			p.end(r, &st, result, noon.Add(time.Minute))
			if result.Cause != c.cause || result.Exit != c.exit && !result.OK {
				t.Errorf("it ended by %q with %d: %s", result.Cause, result.Exit, result.Message)
			}
			if nexus.Phase(st.Phase) != c.phase || st.RestartsUsed != c.charge || st.Seats != nil {
				t.Errorf("it is %s, %d restarts used, holding %v", st.Phase, st.RestartsUsed, st.Seats)
			}
			if back := st.Phase == string(nexus.Pending); back != c.back || back && st.Finished.Time != (time.Time{}) || !back && st.Finished.Time.IsZero() {
				t.Errorf("back in line: %t; finished: %s", back, st.Finished.Time)
			}
		})
	}
}

// Misfortunes in a row are waited out longer and longer, up to a bound.
func TestPausesGrow(t *testing.T) {
	p := &Place{opts: Options{}.withDefaults()}
	for before, want := range map[int]time.Duration{0: time.Second, 1: 2 * time.Second, 5: 32 * time.Second, 9: maxBackoff, 1000: maxBackoff} {
		if got := p.pause(before); got != want {
			t.Errorf("after %d: %s", before, got)
		}
	}
}
