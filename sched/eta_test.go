package sched

import (
	"testing"
	"time"

	"ainexus.io/nexus"
	"ainexus.io/sched/policy"
)

// A node of one GPU, and jobs that each want it.
func crowd(t *testing.T, jobs ...string) *world {
	w := newWorld()
	w.history = hours(w.at)
	w.setNode(readNode(t, []string{"n1", "gpus=1"}))
	for _, id := range jobs {
		w.setJob(readJob(t, w, []string{id, "gpus=1"}))
	}
	return w
}

// hours is a history of jobs that ran for an hour.
func hours(at time.Time) *nexus.History { return runs(at, 100, time.Hour) }

// runs is a history of so many jobs that ran for so long.
func runs(at time.Time, n int, each time.Duration) *nexus.History {
	var learner policy.Learner
	for range n {
		learner.Over(&nexus.Job{Phase: nexus.Succeeded, Started: at.Add(-each), Finished: at})
	}
	return learner.News()
}

// foretold is what a plan foretells, by job.
func foretold(p nexus.Plan) map[string]*nexus.Estimate {
	starts := map[string]*nexus.Estimate{}
	for _, h := range p.Hold {
		if h.Start != nil {
			starts[h.Job] = h.Start
		}
	}
	return starts
}

// What a planner tells of its line without planning is what an explanation tells, but for dates that only that looks for.
func TestTheLineStandsAsTheLastStepLeftIt(t *testing.T) {
	w := crowd(t, "a", "b", "c", "d")
	w.apply(w.step())
	line, explained := w.planner.Line(), Explain(w.planner.Snapshot(), policy.Default()).Line()
	if len(line) != 3 || len(explained) != 3 {
		t.Fatalf("three wait, told are %v and %v", line, explained)
	}
	for i, h := range line {
		x := explained[i]
		if h.Job != x.Job || h.Place != i+1 || x.Position != i+1 || h.Reason.Code != x.Reason.Code || h.Start == nil || x.Expected == nil || !h.Start.Median.Equal(x.Expected.Median) {
			t.Errorf("place %d: %+v, %+v; explained %+v, %+v", i+1, h, h.Start, x, x.Expected)
		}
	}
	if again := w.step(); len(again.Hold)+len(again.Place) > 0 {
		t.Errorf("to tell changes the plan: %v", again)
	}
}

func TestAStartIsForetoldOnceInAWait(t *testing.T) {
	w := crowd(t, "a", "b", "c")
	plan := w.step()
	w.apply(plan)
	first := foretold(plan)
	if len(first) != 2 || first["b"] == nil || first["c"] == nil {
		t.Fatalf("b and c wait, but foretold is %v", first)
	}
	b, c := first["b"], first["c"]
	if b.Median.After(c.Median) || b.Plain <= 0 || b.Plain >= c.Plain {
		t.Errorf("b stands ahead of c, but b: %+v, c: %+v", b, c)
	}
	if e := first["b"]; e.Low.Before(w.at) || e.Median.Before(e.Low) || e.High.Before(e.Median) || !e.At.Equal(w.at) {
		t.Errorf("%+v", e)
	}
	w.at = w.at.Add(time.Minute)
	w.setJob(readJob(t, w, []string{"d", "gpus=1"}))
	plan = w.step()
	w.apply(plan)
	if again := foretold(plan); len(again) != 1 || again["d"] == nil {
		t.Errorf("only d has come, but foretold is %v", again)
	}
}

func TestWhoWaitsForItsOwnSakeHasNoEstimateAndIsNotAhead(t *testing.T) {
	w := crowd(t, "a", "b", "c")
	w.pend("b", func(j *nexus.Job) { j.HeldBy = "ann" })
	plan := w.step()
	w.apply(plan)
	starts := foretold(plan)
	if starts["b"] != nil || starts["c"] == nil {
		t.Fatalf("b is held, c waits: %v", starts)
	}
	alone := crowd(t, "a", "c")
	got, want := starts["c"].Plain, foretold(alone.step())["c"].Plain
	if time.Duration(got).Truncate(time.Second) != time.Duration(want).Truncate(time.Second) {
		t.Errorf("with b held c's plain wait is %v, without b %v", got, want)
	}
	w.pend("b", func(j *nexus.Job) { j.HeldBy = "" })
	if starts = foretold(w.step()); len(starts) != 1 || starts["b"] == nil {
		t.Errorf("b was released and waits its turn, but foretold is %v", starts)
	}
}

func TestAPreemptedJobBeginsAnotherWait(t *testing.T) {
	w := crowd(t, "a")
	w.apply(w.step())
	high := readJob(t, w, []string{"z", "gpus=1", "priority=high"})
	w.setJob(high)
	w.apply(w.step())
	w.pend("a", func(j *nexus.Job) { j.Preemptions++ })
	if starts := foretold(w.step()); starts["a"] == nil {
		t.Errorf("a was preempted and waits again, but foretold is %v", starts)
	}
}

func TestWhereNothingWasLearntAPromisedDateIsAllThereIs(t *testing.T) {
	w := crowd(t)
	w.history = nil
	w.setJob(readJob(t, w, []string{"a", "gpus=1", "max_duration=2m"}))
	w.setJob(readJob(t, w, []string{"b", "gpus=1"}))
	w.apply(w.step())
	why, err := Why(w.snapshot(), policy.Default(), "b")
	if at := w.at.Add(2 * time.Minute); err != nil || why.Expected != nil || !why.Start.Equal(at) {
		t.Errorf("a ends by %v; b is told %+v, %v", at, why, err)
	}
}

func TestAPromisedDateBoundsTheEstimate(t *testing.T) {
	at := newWorld().at
	e := &nexus.Estimate{At: at, Low: at.Add(time.Minute), Median: at.Add(time.Hour), High: at.Add(time.Hour)}
	date := at.Add(2 * time.Minute)
	got := within(e, date)
	if !got.Low.Equal(e.Low) || !got.Median.Equal(date) || !got.High.Equal(date) {
		t.Errorf("%+v", got)
	}
}

func TestADateThatOthersMayMoveIsNoPromise(t *testing.T) {
	w := crowd(t)
	w.setJob(readJob(t, w, []string{"a", "gpus=1", "max_duration=2m"}))
	w.setJob(readJob(t, w, []string{"b", "gpus=1"}))
	w.apply(w.step())
	why, err := Why(w.snapshot(), policy.Default(), "b")
	if err != nil || !why.Start.IsZero() || why.Expected == nil {
		t.Errorf("short jobs may pass b as long as it is young, but it is told %+v, %v", why, err)
	}
}

func TestWhoIsHeldByQuotaIsForetoldAStart(t *testing.T) {
	w := crowd(t)
	w.setNode(readNode(t, []string{"n1", "gpus=8"}))
	w.setQueue(readQueue(t, []string{"q", "quota=1"}))
	for _, id := range []string{"a", "b", "c"} {
		w.setJob(readJob(t, w, []string{id, "gpus=1", "queue=q"}))
	}
	starts := foretold(w.step())
	if b, c := starts["b"], starts["c"]; b == nil || c == nil || c.Plain <= b.Plain || time.Duration(b.Plain) < 50*time.Minute {
		t.Errorf("one GPU of the quota is had one after the other, for an hour each, but foretold is %+v and %+v", b, c)
	}
}

func TestAnEstimateEndsWhenOthersHaveMadeWay(t *testing.T) {
	w := crowd(t)
	w.setQueue(readQueue(t, []string{nexus.DefaultQueue, "min_run_time=1h"}))
	a := readJob(t, w, []string{"a", "gpus=1", "priority=low", "checkpoint=ckpt"})
	a.Spec.Checkpoint.Grace = nexus.Duration(time.Minute)
	w.setJob(a)
	w.apply(w.step())
	w.setJob(readJob(t, w, []string{"b", "gpus=1", "priority=high"}))
	w.apply(w.step())
	why, err := Why(w.snapshot(), policy.Default(), "b")
	if at := w.at.Add(time.Hour); err != nil || !why.Reason.From.Equal(at) || why.Expected == nil || why.Expected.High.After(at.Add(time.Minute)) {
		t.Errorf("a may be stopped at %v; b is told %+v, %+v, %v", at, why.Reason, why.Expected, err)
	}
}
