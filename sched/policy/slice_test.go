package policy

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"ainexus.io/nexus"
)

// saves gives a job a checkpoint.
func saves(j *nexus.Job) *nexus.Job {
	j.CheckpointAt = j.Submitted
	return j
}

// runs lets a job run since a minute.
func runs(j *nexus.Job, minute int) *nexus.Job {
	j.Phase, j.Started = nexus.Running, start.Add(time.Duration(minute)*time.Minute)
	return j
}

func TestANewcomerTakesTheSeatOfWhoRanAnHour(t *testing.T) {
	long, young := runs(saves(job("long", "q", 1, 0)), 0), job("new", "q", 1, 30)
	for minute, want := range map[int]bool{31: false, 59: false, 60: true} {
		if got := MayTurn(young, long, start.Add(time.Duration(minute)*time.Minute)); got != want {
			t.Errorf("at minute %d: %v", minute, got)
		}
	}
	if at := TurnAt(young, long, start.Add(31*time.Minute)); at != start.Add(time.Hour) {
		t.Errorf("asks to be woken at %v", at)
	}
}

func TestWhoCannotSaveOrWaitedADayKeepsItsSeat(t *testing.T) {
	young, at := job("new", "q", 1, 3000), start.Add(3100*time.Minute)
	if MayTurn(young, runs(job("unsaved", "q", 1, 2900), 2900), at) {
		t.Error("a job without checkpoint was evicted")
	}
	if MayTurn(young, runs(saves(job("patient", "q", 1, 0)), 24*60), at) {
		t.Error("a job that waited a day was evicted")
	}
	high := runs(saves(job("high", "q", 1, 2900)), 2900)
	if high.Spec.Priority = nexus.High; MayTurn(young, high, at) {
		t.Error("a job of higher priority was evicted")
	}
}

func TestTwoJobsNeverEvictOneAnotherInTurn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := runs(saves(job("a", "q", 1, 0)), 0), saves(job("b", "q", 1, rapid.IntRange(0, 600).Draw(t, "minute")))
		at, evictions := b.Submitted, 0
		for range 1000 {
			at = at.Add(time.Duration(rapid.IntRange(1, 7200).Draw(t, "seconds")) * time.Second)
			if !MayTurn(b, a, at) {
				continue
			}
			before := Ran(a, at)
			a.Served, a.Phase, a.Result, a.Preemptions = nexus.Duration(before), nexus.Pending, &nexus.Result{Ended: at}, a.Preemptions+1
			b.Phase, b.Started = nexus.Running, at
			if MayTurn(a, b, at.Add(slice-1)) {
				t.Fatal("evicted within its slice")
			}
			a, b, evictions = b, a, evictions+1
		}
		if total := at.Sub(start); evictions > 2 && total < slice<<(evictions-2) {
			t.Fatalf("%d evictions within %v", evictions, total)
		}
	})
}

func TestOneVictimThatFitsIsTheCheapest(t *testing.T) {
	at := start.Add(10 * time.Hour)
	one, four, eight := runs(job("1", "q", 1, 0), 0), runs(job("4", "q", 4, 0), 60), runs(job("8", "q", 8, 0), 0)
	right, wasteful := TurnOf([]*nexus.Job{four}, 4, at), TurnOf([]*nexus.Job{eight}, 4, at)
	several := TurnOf([]*nexus.Job{one, one, one, one}, 4, at)
	if right.Compare(wasteful) >= 0 || wasteful.Compare(several) >= 0 || CompareTurns(one, four, at) >= 0 {
		t.Errorf("%+v, %+v, %+v", right, wasteful, several)
	}
}

// What the planner saves itself looking for rests on these two: nobody yields who has not had his turn, and whoever has run
// longer may take the seats of fewer.
func TestWhoeverHasRunLongerMayAskFewer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		minutes := func(name string, most int) int { return rapid.IntRange(0, most).Draw(t, name) }
		running := runs(job("a", "q", 1, 0), minutes("started", 3000))
		running.Served, running.Preemptions = nexus.Duration(time.Duration(minutes("had", 300))*time.Minute), minutes("evicted", 20)
		if rapid.Bool().Draw(t, "saves") {
			running.CheckpointAt = running.Started
		}
		young, old := job("b", "q", 1, -60), job("c", "q", 1, -60)
		young.Served = nexus.Duration(time.Duration(minutes("served", 300)) * time.Minute)
		old.Served = young.Served + nexus.Duration(time.Duration(minutes("more", 300))*time.Minute)
		at := running.Started.Add(time.Duration(minutes("now", 600)) * time.Minute)
		had, may := HadTurn(running, at), MayTurn(young, running, at)
		if may && !had || MayTurn(old, running, at) && !may {
			t.Fatalf("turn over: %v, may: %v, of who has run longer: %v", had, may, MayTurn(old, running, at))
		}
		if outran := Outran(Ran(running, at), Ran(young, at)); may != (had && outran) {
			t.Fatalf("may: %v, turn over: %v, outran: %v", may, had, outran)
		}
		if first := job("d", "q", 1, -60); had != MayTurn(first, running, at) {
			t.Fatalf("turn over: %v, but of who has not run: %v", had, !had)
		}
	})
}
