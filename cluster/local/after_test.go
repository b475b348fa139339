package local

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"ainexus.io/api"
	"ainexus.io/nexus"
)

// named is a submission of that name after others.
func named(t *testing.T, name, run string, after ...nexus.After) api.Submission {
	t.Helper()
	s := submission(t, run)
	s.Spec.Name, s.Spec.After = name, after
	return s
}

func put(t *testing.T, p *Place, s api.Submission) nexus.Job {
	t.Helper()
	job, err := p.Submit(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return job
}

func on(job string) nexus.After     { return nexus.After{Job: job, On: nexus.AwaitSuccess} }
func either(job string) nexus.After { return nexus.After{Job: job, On: nexus.AwaitAny} }

// A chain waits link by link, over a restart of the daemon too, and names what it waits for.
func TestAChainOfJobs(t *testing.T) {
	t.Parallel()
	opts := testOptions(t.TempDir())
	p, err := New(t.Context(), opts) // nobody plans yet
	if err != nil {
		t.Fatal(err)
	}
	older := put(t, p, named(t, "first", "true"))
	first := put(t, p, named(t, "first", "true"))
	second := put(t, p, named(t, "second", "true", on("first")))
	third := put(t, p, named(t, "third", "true", on(second.ID), either("first")))
	if len(second.After) != 1 || second.After[0].Job != first.ID || older.ID == first.ID {
		t.Errorf("the second waits for %+v, and the newest first is %s", second.After, first.ID)
	}
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	p = start(t, opts)
	v := awaitPhase(t, p, third.ID, nexus.Succeeded)
	a, b := awaitPhase(t, p, first.ID, nexus.Succeeded), awaitPhase(t, p, second.ID, nexus.Succeeded)
	if b.Started.Before(a.Finished) || v.Started.Before(b.Finished) {
		t.Errorf("first ended %s, second ran %s to %s, third began %s", a.Finished, b.Started, b.Finished, v.Started)
	}
	if v.After[0].Phase != nexus.Succeeded || v.After[1].Phase != nexus.Succeeded {
		t.Errorf("the third knows %+v", v.After)
	}
}

// Who needs a success that does not come is cancelled with a sentence, and so are those who need him; who takes any
// ending goes on.
func TestASuccessThatDoesNotCome(t *testing.T) {
	t.Parallel()
	p := start(t, testOptions(t.TempDir()))
	first := put(t, p, named(t, "first", "sleep 0.3; exit 3"))
	second := put(t, p, named(t, "second", "true", on("first")))
	third := put(t, p, named(t, "third", "true", on("second")))
	fourth := put(t, p, named(t, "fourth", "true", either("third")))
	v := await(t, p, second.ID, "told why", func(v api.JobView) bool { return v.Reason != nil || v.Phase.Over() })
	if v.Reason != nil && (v.Reason.Code != nexus.WaitAfter || v.Reason.Job != first.ID) {
		t.Errorf("it is told %+v", v.Reason)
	}
	v = awaitPhase(t, p, second.ID, nexus.Cancelled)
	if want := "job first (" + first.ID + ") had to succeed first, and ended as Failed"; v.Result == nil || v.Result.Cause != nexus.CauseAfter || v.Result.Message != want {
		t.Errorf("it ended with %+v", v.Result)
	}
	awaitPhase(t, p, third.ID, nexus.Cancelled)
	awaitPhase(t, p, fourth.ID, nexus.Succeeded)

	// What is over is known at submit.
	if _, err := p.Submit(t.Context(), named(t, "late", "true", on("first"))); refusal(err).Code != nexus.CodeConflict {
		t.Errorf("after what failed: %v", err)
	}
	if _, err := p.Submit(t.Context(), named(t, "late", "true", on("nobody"))); refusal(err).Code != nexus.CodeNotFound || refusal(err).Field != "after[0].job" {
		t.Errorf("after nobody: %v", err)
	}
	stranger := named(t, "late", "true", on("fourth"))
	stranger.User = "eve"
	if _, err := p.Submit(t.Context(), stranger); refusal(err).Code != nexus.CodeNotFound {
		t.Errorf("after another user's job by name: %v", err)
	}
	awaitPhase(t, p, put(t, p, named(t, "late", "true", on("fourth"), either("first"))).ID, nexus.Succeeded)

	// Requeued, they wait for one another again.
	if _, err := p.Requeue(t.Context(), second.ID); refusal(err).Code != nexus.CodeConflict {
		t.Errorf("requeueing what can never start: %v", err)
	}
	if _, err := p.Hold(t.Context(), "fourth", "ada"); err == nil {
		t.Error("what is over was held")
	}
	if _, err := p.Requeue(t.Context(), first.ID); err != nil {
		t.Fatal(err)
	}
	if job, err := p.Requeue(t.Context(), second.ID); err != nil || job.After[0].Phase != "" {
		t.Fatalf("requeued it waits for %+v, %v", job.After, err)
	}
	awaitPhase(t, p, second.ID, nexus.Cancelled) // the first fails again
}

// A cancelled job counts as one that did not succeed, also where it never began.
func TestWhatIsAwaitedIsCancelled(t *testing.T) {
	t.Parallel()
	p := start(t, testOptions(t.TempDir()))
	held := named(t, "first", "true")
	held.Hold = true
	first := put(t, p, held)
	second := put(t, p, named(t, "second", "true", on("first")))
	third := put(t, p, named(t, "third", "true", either("first")))
	if _, err := p.Cancel(t.Context(), first.ID); err != nil {
		t.Fatal(err)
	}
	awaitPhase(t, p, second.ID, nexus.Cancelled)
	awaitPhase(t, p, third.ID, nexus.Succeeded)
}

func array(t *testing.T, text string) nexus.Array {
	t.Helper()
	var a nexus.Array
	if err := a.UnmarshalText([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return a
}

// Members run so many at once, each with its index; who waits for the array waits for all of it.
func TestAnArrayRuns(t *testing.T) {
	t.Parallel()
	p := start(t, testOptions(t.TempDir()))
	s := named(t, "sweep", "sleep 0.05")
	s.Spec.Array, s.Key = array(t, "1-7:2%2"), "once"
	first := put(t, p, s)
	if again := put(t, p, s); again.ID != first.ID {
		t.Errorf("submitted again under the same key it is %s, not %s", again.ID, first.ID)
	}
	if m := first.Member; m == nil || m.Index != 1 || m.Size != 4 || m.AtOnce != 2 || m.Name != "sweep" || first.Spec.Name != "sweep-1" || !first.Spec.Array.IsZero() {
		t.Fatalf("the first member is %+v of %+v", first, first.Member)
	}
	last := put(t, p, named(t, "last", "true", on("sweep")))
	if last.After[0].Job != first.Member.Array {
		t.Errorf("it waits for %+v", last.After)
	}
	v := awaitPhase(t, p, last.ID, nexus.Succeeded)
	list, err := p.List(t.Context(), api.Filter{Name: "sweep"})
	if err != nil || len(list) != 4 {
		t.Fatalf("%d members, %v", len(list), err)
	}
	for i, m := range list {
		if want := fmt.Sprintf("sweep-%d", 7-2*i); m.Spec.Name != want || m.Phase != nexus.Succeeded || m.Finished.After(v.Started) {
			t.Errorf("%s is %s, not %s", m.Spec.Name, m.Phase, want)
		}
		n := 0
		for _, o := range list {
			if !o.Started.After(m.Started) && o.Finished.After(m.Started) {
				n++
			}
		}
		if n > 2 {
			t.Errorf("%d members ran at %s", n, m.Started)
		}
	}
	r, err := p.recordOf(t.Context(), list[2].ID)
	if err != nil {
		t.Fatal(err)
	}
	if order := p.order(r); order.Member == nil || order.Member.Index != 3 {
		t.Errorf("its agent is told of %+v", order.Member)
	}
}

// Control reaches all members at once, by name and by id; a member is reached by its own name.
func TestAnArrayIsControlled(t *testing.T) {
	t.Parallel()
	p := start(t, testOptions(t.TempDir()))
	s := named(t, "sweep", "sleep 60")
	s.Spec.Array, s.Hold = array(t, "0-9%1"), true
	first := put(t, p, s)
	dependent := put(t, p, named(t, "dependent", "true", on("sweep")))
	if c, err := p.Release(t.Context(), "sweep"); err != nil || c.Members != 10 {
		t.Errorf("released %d members, %v", c.Members, err)
	}
	awaitPhase(t, p, first.ID, nexus.Running)
	v := await(t, p, "sweep", "told why", func(v api.JobView) bool { return v.Reason != nil })
	if v.Spec.Name != "sweep-1" || v.Reason.Code != nexus.WaitArray || v.Reason.Need != 1 {
		t.Errorf("%s answers for the array and is told %+v", v.Spec.Name, v.Reason)
	}
	if c, err := p.Hold(t.Context(), first.Member.Array[:6], "ada"); err != nil || c.Members != 9 {
		t.Errorf("held %d members, %v", c.Members, err)
	}
	if c, err := p.Cancel(t.Context(), "sweep-3"); err != nil || c.Members != 0 || c.Spec.Name != "sweep-3" {
		t.Errorf("cancelled %s and %d members, %v", c.Spec.Name, c.Members, err)
	}
	if err := p.Logs(t.Context(), "sweep", api.LogQuery{}, &strings.Builder{}); refusal(err).Code != nexus.CodeAmbiguous {
		t.Errorf("the logs of an array: %v", err)
	}
	if c, err := p.Cancel(t.Context(), "sweep"); err != nil || c.Members != 9 {
		t.Errorf("cancelled %d members, %v", c.Members, err)
	}
	awaitPhase(t, p, dependent.ID, nexus.Cancelled)
	if _, err := p.Hold(t.Context(), "sweep", "ada"); refusal(err).Code != nexus.CodeConflict {
		t.Errorf("holding what is over: %v", err)
	}
}

// The largest array is one step on the disk, and quick.
func TestTheLargestArray(t *testing.T) {
	p, err := New(t.Context(), testOptions(t.TempDir())) // nobody plans
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	s := named(t, "sweep", "true")
	s.Spec.Array = array(t, "0-9999%4")
	began := time.Now()
	put(t, p, s)
	submitted := time.Since(began)
	began = time.Now()
	c, err := p.Cancel(t.Context(), "sweep")
	if err != nil || c.Members != 10_000 || p.Counts()[nexus.Cancelled] != 10_000 || !p.Idle() {
		t.Errorf("cancelled %d members, %v; %v", c.Members, err, p.Counts())
	}
	t.Logf("10,000 members submitted in %s, cancelled in %s", submitted, time.Since(began))
}
