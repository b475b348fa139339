package clustertest

import (
	"testing"

	"ainexus.io/nexus"
)

// Run runs the suite. make gives a fresh place with an engine; it ends them with t.Cleanup.
func Run(t *testing.T, make func(t *testing.T, m Machine) Place) {
	promises := []struct {
		name string
		keep func(watch)
		m    Machine
	}{
		{"a job runs to its end", runsToItsEnd, Machine{2}},
		{"an acknowledged job is not lost", notLost, Machine{2}},
		{"an exit code fails the job", failureIsTold, Machine{2}},
		{"restarts are bounded by the budget", restartsAreBounded, Machine{2}},
		{"the loss of a node is not charged", nodeIsNotCharged, Machine{2}},
		{"cancel ends a waiting job at once", cancelWaiting, Machine{1}},
		{"cancel ends a running job", cancelRunning, Machine{1}},
		{"no more than there is, and everyone who waits knows why", waitsWithReason, Machine{2}},
		{"priority decides who starts first", priorityDecides, Machine{1}},
		{"preempted work waits and runs again", preemptedRunsAgain, Machine{1}},
		{"a cancelled preemptor lets others go on", preemptorGivesUp, Machine{1}},
		{"attempts are numbered and never two at a time", attemptsAreNumbered, Machine{1}},
	}
	for _, p := range promises {
		t.Run(p.name, func(t *testing.T) { p.keep(watch{t, make(t, p.m)}) })
	}
}

// small is a job of one worker on one cpu slot.
func small(name string) nexus.Spec {
	return nexus.Spec{
		Name: name, Type: nexus.Training, Queue: nexus.DefaultQueue, Nodes: nexus.Range{Min: 1, Max: 1}, Workers: 1,
		Resources: nexus.Resources{CPU: 1000}, Run: nexus.Command{Argv: []string{"true"}},
		Restart: nexus.Restart{On: []nexus.Cause{nexus.CauseExit, nexus.CauseHang, nexus.CauseNode, nexus.CausePreempt}},
	}
}

func runsToItsEnd(w watch) {
	id := w.submit(small("plain"), Body{})
	j := w.phase(id, nexus.Succeeded, nexus.Failed, nexus.Cancelled)
	if j.Phase != nexus.Succeeded || j.Attempt != 1 || j.Result == nil || !j.Result.OK || j.Placement != nil {
		w.t.Fatalf("it ended as %s after attempt %d with %+v, holding %+v", j.Phase, j.Attempt, j.Result, j.Placement)
	}
	if j.Finished.Before(j.Started) || j.Started.Before(j.Submitted) {
		w.t.Fatalf("submitted %s, started %s, finished %s", j.Submitted, j.Started, j.Finished)
	}
}

func notLost(w watch) {
	var ids []string
	for range 20 {
		ids = append(ids, w.submit(small("many"), Body{}))
	}
	for _, id := range ids {
		w.phase(id, nexus.Succeeded)
	}
}

func failureIsTold(w watch) {
	j := w.phase(w.submit(small("broken"), Body{Exit: 3}), nexus.Failed, nexus.Succeeded)
	if j.Phase != nexus.Failed || j.Result == nil || j.Result.Cause != nexus.CauseExit || j.Result.Exit != 3 || j.RestartsUsed != 0 {
		w.t.Fatalf("it ended as %s with %+v, %d restarts charged", j.Phase, j.Result, j.RestartsUsed)
	}
}

func restartsAreBounded(w watch) {
	spec := small("stubborn")
	spec.Restart.Max = 2
	j := w.phase(w.submit(spec, Body{Exit: 1}), nexus.Failed, nexus.Succeeded)
	if j.Phase != nexus.Failed || j.RestartsUsed != 2 {
		w.t.Fatalf("it ended as %s with %d restarts charged, of a budget of 2", j.Phase, j.RestartsUsed)
	}
}

func nodeIsNotCharged(w watch) {
	id := w.submit(small("unlucky"), Body{Until: "unlucky"})
	w.phase(id, nexus.Running)
	if err := w.KillAgent(w.t.Context(), id); err != nil {
		w.t.Fatal(err)
	}
	w.until(id, "in its second attempt", func(j nexus.Job) bool { return j.Attempt == 2 && j.Phase == nexus.Running })
	w.Open("unlucky")
	if j := w.phase(id, nexus.Succeeded, nexus.Failed); j.Phase != nexus.Succeeded || j.RestartsUsed != 0 {
		w.t.Fatalf("it ended as %s with %d restarts charged", j.Phase, j.RestartsUsed)
	}
}

func cancelWaiting(w watch) {
	first := w.submit(small("first"), Body{Until: "first"})
	w.phase(first, nexus.Running)
	second := w.submit(small("second"), Body{})
	if err := w.Cancel(w.t.Context(), second); err != nil {
		w.t.Fatal(err)
	}
	if j := w.phase(second, nexus.Cancelled, nexus.Succeeded); j.Phase != nexus.Cancelled || j.Attempt != 0 {
		w.t.Fatalf("it is %s after %d attempts", j.Phase, j.Attempt)
	}
	w.Open("first")
	w.phase(first, nexus.Succeeded)
}

func cancelRunning(w watch) {
	id := w.submit(small("endless"), Body{Until: "never"})
	w.phase(id, nexus.Running)
	if err := w.Cancel(w.t.Context(), id); err != nil {
		w.t.Fatal(err)
	}
	if j := w.phase(id, nexus.Cancelled); j.Placement != nil {
		w.t.Fatalf("it is cancelled and still holds %+v", j.Placement)
	}
	w.phase(w.submit(small("next"), Body{}), nexus.Succeeded) // the slot is free again
}

func waitsWithReason(w watch) {
	one, two := w.submit(small("one"), Body{Until: "both"}), w.submit(small("two"), Body{Until: "both"})
	w.phase(one, nexus.Running)
	w.phase(two, nexus.Running)
	three := w.submit(small("three"), Body{})
	if r := w.reason(three, nexus.WaitCapacity); r.Resource != "cpu" || r.Need != 1000 || r.Have != 0 {
		w.t.Fatalf("it is told %+v", r)
	}
	if j := w.job(three); j.Phase != nexus.Pending {
		w.t.Fatalf("a third job is %s on two slots", j.Phase)
	}
	w.Open("both")
	w.phase(three, nexus.Succeeded)
}

func priorityDecides(w watch) {
	holder := small("holder")
	holder.Priority = nexus.Critical
	w.phase(w.submit(holder, Body{Until: "holder"}), nexus.Running)
	early := w.submit(small("early"), Body{})
	urgent := small("urgent")
	urgent.Priority = nexus.High
	late := w.submit(urgent, Body{})
	w.reason(early, nexus.WaitCapacity, nexus.WaitBehind)
	w.reason(late, nexus.WaitCapacity, nexus.WaitBehind)
	w.Open("holder")
	first, second := w.phase(late, nexus.Succeeded), w.phase(early, nexus.Succeeded)
	if second.Started.Before(first.Started) {
		w.t.Fatalf("the urgent one started at %s, the early one at %s", first.Started, second.Started)
	}
}

func preemptedRunsAgain(w watch) {
	low := small("low")
	low.Priority = nexus.Low
	victim := w.submit(low, Body{Until: "victim"})
	w.phase(victim, nexus.Running)
	urgent := w.submit(small("urgent"), Body{Until: "urgent"})
	w.phase(urgent, nexus.Running)
	if j := w.phase(victim, nexus.Pending); j.Preemptions != 1 || j.RestartsUsed != 0 || j.Placement != nil {
		w.t.Fatalf("the victim: %d preemptions, %d restarts charged, holding %+v", j.Preemptions, j.RestartsUsed, j.Placement)
	}
	w.reason(victim, nexus.WaitCapacity)
	w.Open("urgent")
	w.Open("victim")
	w.phase(urgent, nexus.Succeeded)
	if j := w.phase(victim, nexus.Succeeded); j.Attempt != 2 {
		w.t.Fatalf("the victim ended in attempt %d", j.Attempt)
	}
}

func preemptorGivesUp(w watch) {
	low := small("low")
	low.Priority = nexus.Low
	victim := w.submit(low, Body{Until: "victim"})
	w.phase(victim, nexus.Running)
	urgent := w.submit(small("urgent"), Body{Until: "never"})
	if err := w.Cancel(w.t.Context(), urgent); err != nil {
		w.t.Fatal(err)
	}
	w.phase(urgent, nexus.Cancelled)
	w.Open("victim")
	w.phase(victim, nexus.Succeeded) // whether or not it was stopped meanwhile
}

func attemptsAreNumbered(w watch) {
	id := w.submit(small("often"), Body{Until: "often"})
	for attempt := 1; attempt <= 3; attempt++ {
		j := w.until(id, "in the next attempt", func(j nexus.Job) bool { return j.Attempt >= attempt && j.Phase == nexus.Running })
		if j.Attempt != attempt || j.Placement == nil || j.Placement.Attempt != attempt {
			w.t.Fatalf("attempt %d runs as %d on %+v", attempt, j.Attempt, j.Placement)
		}
		if err := w.KillAgent(w.t.Context(), id); err != nil {
			w.t.Fatal(err)
		}
	}
	w.Open("often")
	w.phase(id, nexus.Succeeded)
}
