package local

import (
	"errors"
	"strings"
	"testing"
	"time"

	"ainexus.io/nexus"
	"ainexus.io/sched/policy"
)

// Queues, and what was had of them, are still there when the daemon comes back; the planner is told both.
func TestQueuesAreKept(t *testing.T) {
	t.Parallel()
	ctx, state := t.Context(), t.TempDir()
	p := start(t, testOptions(state))
	half, two := nexus.CPU(500), 2
	queues := []nexus.Queue{{Name: "lab", Quota: []nexus.Quota{{CPU: &half, GPUs: &two}}, PricePerGPUHour: 1000, MaxDurationDefault: 3600e9}}
	changes, err := p.ApplyQueues(ctx, queues)
	if err != nil || changes.Queues[0].Change != "created" {
		t.Fatalf("%+v, %v", changes, err)
	}
	s := submission(t, "true")
	s.Spec.Queue, s.Spec.Resources.CPU = "lab", 500
	job, err := p.Submit(ctx, s)
	if err != nil || job.Spec.MaxDuration != 3600e9 {
		t.Fatalf("%+v, %v", job, err)
	}
	awaitPhase(t, p, job.ID, nexus.Succeeded)
	history, err := p.History(ctx, "queue", p.Now().Add(-time.Hour))
	if err != nil || len(history) != 1 || history[0].Queue != "lab" || history[0].Jobs != 1 || history[0].Attempts != 1 {
		t.Errorf("history: %+v, %v", history, err)
	}
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	again, err := New(ctx, testOptions(state))
	if err != nil {
		t.Fatal(err)
	}
	defer again.Stop()
	d, _ := again.view.delta()
	if len(d.Queues) != 2 || d.Queues[1].Name != "lab" || len(d.Use) != 1 || d.Use[0].CPUTime <= 0 || d.Use[0].User != job.User {
		t.Errorf("the planner is told of %+v, %+v", d.Queues, d.Use)
	}
	if _, more := again.view.delta(); more {
		t.Error("and told again")
	}
	if err := again.DeleteQueue(ctx, "lab"); err != nil {
		t.Fatal(err)
	}
	if d, _ := again.view.delta(); len(d.Queues) != 1 || d.Queues[0].Name != nexus.DefaultQueue {
		t.Errorf("after the delete: %+v", d.Queues)
	}
}

// Where one of several is wrong, none is applied.
func TestQueuesAreAppliedTogether(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	p := start(t, testOptions(t.TempDir()))
	_, err := p.ApplyQueues(ctx, []nexus.Queue{{Name: "a"}, {Name: "b", Parent: "c"}})
	if err == nil || !strings.Contains(err.Error(), "there is no queue c") {
		t.Errorf("%v", err)
	}
	if queues := p.view.allQueues(); len(queues) != 1 {
		t.Errorf("there are %+v", queues)
	}
	var refused *nexus.Error
	if err := p.DeleteQueue(ctx, "a"); !errors.As(err, &refused) || refused.Code != nexus.CodeNotFound {
		t.Errorf("%v", err)
	}
}

// An attempt is told by the hours in which it ran; nothing is lost where they meet, and long ones are bounded.
func TestHours(t *testing.T) {
	from := time.Date(2026, 1, 1, 10, 30, 0, 0, time.UTC)
	job := nexus.Job{User: "ada", Attempt: 1, Submitted: from.Add(-time.Minute), Spec: nexus.Spec{Queue: "lab"}}
	list := hours(job, true, 2000, 500, from, from.Add(2*time.Hour))
	var sum int64
	for _, h := range list {
		sum += h.GPUTime
	}
	if len(list) != 3 || sum != 2000*2*3600*1000 || list[0].Attempts != 1 || list[0].Waited != time.Minute || list[2].Jobs != 1 || list[1].Jobs != 0 {
		t.Errorf("%+v", list)
	}
	if list := hours(job, false, 1000, 0, from, from.AddDate(5, 0, 0)); len(list) != mostHours+1 {
		t.Errorf("five years are %d hours", len(list))
	}
}

// What was used long ago counts for less, and the sum does not depend on how it is cut.
func TestUseDecays(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	whole := policy.Used(nexus.QueueUse{}, 4000, 8000, at, at.Add(10*time.Hour), policy.HalfLife)
	parts := nexus.QueueUse{}
	for h := range 10 {
		parts = policy.Used(parts, 4000, 8000, at.Add(time.Duration(h)*time.Hour), at.Add(time.Duration(h+1)*time.Hour), policy.HalfLife)
	}
	if d := whole.GPUTime - parts.GPUTime; d > 100 || d < -100 || !whole.At.Equal(parts.At) {
		t.Errorf("%+v is not %+v", whole, parts)
	}
	later := policy.Decayed(whole, at.Add(10*time.Hour+policy.HalfLife), policy.HalfLife)
	if d := 2*later.GPUTime - whole.GPUTime; d > 2 || d < -2 {
		t.Errorf("a half-life later %d is %d", whole.GPUTime, later.GPUTime)
	}
	if early := policy.Used(later, 1000, 0, at, at.Add(time.Hour), policy.HalfLife); early.GPUTime <= later.GPUTime || !early.At.Equal(later.At) {
		t.Errorf("what is told late counts as of its own time: %+v, %+v", later, early)
	}
}
