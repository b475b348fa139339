package sched

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ainexus.io/nexus"
	"ainexus.io/sched/policy"
)

// bounds are how long an attempt of a job runs at least and how often it is preempted at most, as its queue or the
// nearest above it says.
func (w *world) bounds(j nexus.Job) (least time.Duration, most int) {
	most = 16
	saysLeast, saysMost := false, false
	for name := j.Spec.Queue; name != ""; name = w.parentOf(name) {
		q, _ := w.queueNamed(name)
		if q.MinRunTime != nil && !saysLeast {
			least, saysLeast = time.Duration(*q.MinRunTime), true
		}
		if q.MaxPreemptions != nil && !saysMost {
			most, saysMost = *q.MaxPreemptions, true
		}
	}
	return least, most
}

// unripe says that a live job has to run on; empty if it has run for long enough.
func (w *world) unripe(j nexus.Job) string {
	if least, _ := w.bounds(j); w.at.Sub(j.Started) < least {
		return fmt.Sprintf("it has run for %s of at least %s", w.at.Sub(j.Started), least)
	}
	return ""
}

// yieldLie says what is untrue about whom a reason says to yield; empty if it is true.
func (w *world) yieldLie(j nexus.Job, r nexus.Reason) string {
	v := w.jobs[r.Yields]
	least, most := w.bounds(v)
	switch {
	case r.Yields == "" && r.From.IsZero() && r.Runs == 0:
	case v.Placement == nil || v.Phase == nexus.Stopping:
		return fmt.Sprintf("%q holds nothing that it could give away", r.Yields)
	case v.Spec.Priority > j.Spec.Priority:
		return r.Yields + " is more urgent"
	case r.From.IsZero() && v.Preemptions < most:
		return fmt.Sprintf("%s was preempted %d times of %d", r.Yields, v.Preemptions, most)
	case r.From.IsZero():
	case r.Runs == 0 && r.From.After(v.Started.Add(least)):
	case !r.From.Equal(v.Started.Add(least)) || !r.From.After(w.at) || time.Duration(r.Runs) != least:
		return fmt.Sprintf("%s has run since %s and has to for %s", r.Yields, v.Started, least)
	}
	return ""
}

// wakesInTime: where somebody is told that others will be asked for their seats, the planner wants to be woken by
// then; and if nothing happens until then, that is what it does: it finds something to do for whoever is told of the first.
func (w *world) wakesInTime(t *rapid.T, before nexus.Snapshot, plan nexus.Plan) {
	var first time.Time
	for id, r := range w.reasons {
		if r.From.IsZero() {
			continue
		}
		if plan.Wake.IsZero() || plan.Wake.After(r.From) {
			t.Fatalf("%s is told %+v, and the planner sleeps until %s\nplan:\n%s\nfleet before:\n%s", id, r, plan.Wake, plan, before)
		}
		if first.IsZero() || r.From.Before(first) {
			first = r.From
		}
	}
	if first.IsZero() || plan.Wake.Before(first) {
		return
	}
	then := w.snapshot()
	then.At = first
	then.Jobs = slices.DeleteFunc(then.Jobs, func(j nexus.Job) bool {
		end := j.Started.Add(time.Duration(j.Spec.MaxDuration))
		return j.Phase == nexus.Running && j.Spec.MaxDuration > 0 && end.After(w.at) && !end.After(first)
	})
	if next := Plan(then, policy.Default()); len(next.Evict)+len(next.Place) == 0 {
		t.Fatalf("somebody is to be asked at %s, and nobody is:\n%s\nfleet:\n%s\nreasons: %+v", first, next, w.snapshot(), w.reasons)
	}
	if len(then.Jobs) < len(w.jobs) {
		return // when they end it is asked anew
	}
	then.At = first.Add(-1)
	if early := Plan(then, policy.Default()); len(early.Evict)+len(early.Place) > 0 {
		t.Fatalf("the planner sleeps until %s, and could do something before:\n%s\nfleet:\n%s", first, early, w.snapshot())
	}
}

// anyRival is small jobs of all priorities, which meet.
func anyRival(t *rapid.T, id string, at time.Time) nexus.Job {
	j := anyElastic(t, id, at)
	s := &j.Spec
	s.Priority = nexus.Priority(rapid.IntRange(-1, 2).Draw(t, "rank"))
	s.Queue = rapid.SampledFrom([]string{"default", "default", "a", "b"}).Draw(t, "line")
	j.Preemptions = rapid.IntRange(0, 2).Draw(t, "preempted before")
	return j
}

// boundedQueues are queues of which the default has bounds that are met.
func boundedQueues(t *rapid.T) []nexus.Queue {
	var queues []nexus.Queue
	if rapid.Bool().Draw(t, "others") {
		queues = slices.DeleteFunc(anyQueues(t), func(q nexus.Queue) bool { return q.Name == nexus.DefaultQueue })
	}
	least, most := nexus.Duration(rapid.IntRange(5, 60).Draw(t, "minutes"))*nexus.Duration(time.Minute), rapid.IntRange(0, 4).Draw(t, "most")
	return append(queues, nexus.Queue{Name: nexus.DefaultQueue, MinRunTime: &least, MaxPreemptions: &most})
}

// The laws hold where most jobs have bounds, and it is seen that they matter: jobs are told whom they wait for and until
// when, and that somebody is left alone; and who was waited for is stopped in the end.
func TestBoundsLaws(t *testing.T) {
	told, spared, ripe := 0, 0, 0
	story := func(t *rapid.T) {
		life(t, kindsOf{steadyNode, anyRival, 3, boundedQueues}, func(w *world, before nexus.Snapshot, plan nexus.Plan) {
			w.keepsLaws(t, before, plan)
			for _, h := range plan.Hold {
				told += bit(!h.Reason.From.IsZero())
				spared += bit(h.Reason.Yields != "" && h.Reason.From.IsZero())
			}
			for _, v := range plan.Evict {
				least, _ := w.bounds(w.jobs[v.Job])
				ripe += bit(least > 0)
			}
		})
	}
	for range 2 {
		rapid.Check(t, story)
	}
	if told == 0 || spared == 0 || ripe == 0 {
		t.Fatalf("%d were told until when they wait, %d that somebody is spared, and %d who had to run on were stopped later: that means nothing", told, spared, ripe)
	}
	t.Logf("%d were told until when they wait, %d that somebody is spared, and %d who had to run on were stopped later", told, spared, ripe)
}
