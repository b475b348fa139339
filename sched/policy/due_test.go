package policy

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ainexus.io/nexus"
)

// taught is a history of short jobs on one GPU and long ones on eight.
func taught() *nexus.History {
	var h nexus.History
	for i := range 40 {
		LearnEnd(&h, over(job(fmt.Sprint("s", i), "q", 1, i), 10*time.Minute))
		LearnEnd(&h, over(job(fmt.Sprint("l", i), "q", 8, i), 5*time.Hour))
	}
	return &h
}

func TestAShortJobPassesALongOneThatIsYoung(t *testing.T) {
	o := Look(taught())
	long, short := job("long", "q", 8, 0), job("short", "q", 1, 60)
	if !o.Due(short).Before(o.Due(long)) {
		t.Errorf("short due %v, long due %v", o.Due(short), o.Due(long))
	}
	tomorrow := job("tomorrow", "q", 1, 25*60)
	if !o.Due(long).Before(o.Due(tomorrow)) {
		t.Errorf("who came a day later passes: %v, %v", o.Due(long), o.Due(tomorrow))
	}
}

func TestEveryJobIsFinallyAheadOfAnyNewcomer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h nexus.History
		for _, j := range rapid.SliceOfN(rapid.Custom(anyJob), 0, 100).Draw(t, "past") {
			LearnEnd(&h, j)
		}
		o := Look(&h)
		a, b := anyJob(t), anyJob(t)
		o.Patience = PatienceFor(rapid.Int64().Draw(t, "backlog"), rapid.IntRange(0, 1000).Draw(t, "fleet"))
		b.Submitted = o.OverdueAt(a)
		if due := o.Due(a); due.Before(a.Submitted) || o.Due(b).Before(due) {
			t.Fatalf("due %v, a newcomer of %v due %v", due, b.Submitted, o.Due(b))
		}
		if !o.Overdue(a, o.Due(b)) || o.Overdue(a, a.Submitted) {
			t.Fatalf("overdue at the wrong time")
		}
	})
}

func TestKeysOfWaitingJobsStandStillExceptForARerank(t *testing.T) {
	o := Look(taught())
	j := job("a", "q", 4, 5)
	for _, b := range []Policy{{}, {Rank: ByArrival}, {Rank: ByLength}} {
		whole := 3 * time.Hour
		if x, y := b.Rank.Key(j, o, start, whole), b.Rank.Key(j, o, start.Add(9*time.Hour), whole); x != y {
			t.Errorf("%q: %v, then %v", b.Rank, x, y)
		}
	}
}

func TestTwoLevelsOfAttainedService(t *testing.T) {
	j := job("a", "q", 4, 0)
	j.Phase, j.Started = nexus.Running, start
	if at := ByAttained.Crossing(j, start); at != start.Add(15*time.Minute) {
		t.Errorf("four GPUs have had a GPU-hour at %v", at)
	}
	later := start.Add(15 * time.Minute)
	if ByAttained.Key(j, nil, start, 0) >= ByAttained.Key(j, nil, later, 0) || !ByAttained.Crossing(j, later).IsZero() {
		t.Errorf("it does not fall to the second level")
	}
	if got := ByRemaining.Key(j, nil, later, time.Hour); got != 45*time.Minute {
		t.Errorf("remains %v", got)
	}
}

func TestPatienceGrowsWithTheLine(t *testing.T) {
	day := int64(24 * 3600)
	for backlog, want := range map[int64]time.Duration{
		0: Patience, 512 * day / 4: Patience, 512*day/4 + 512: 2 * Patience, 512 * day * 1000: mostPatience,
	} {
		if got := PatienceFor(backlog, 512); got != want {
			t.Errorf("%d GPU-seconds on 512 GPUs: %v, want %v", backlog, got, want)
		}
	}
}

func TestWhoWasPreemptedIsExpectedToRunTheRestOnly(t *testing.T) {
	o, j := Look(taught()), job("a", "q", 1, 0)
	fresh := o.Work(j)
	j.Served = nexus.Duration(400 * 24 * time.Hour)
	if rest := o.Work(j); rest != int64(longest/time.Second) || fresh >= rest {
		t.Errorf("fresh %d GPU-seconds, after 400 days %d", fresh, rest)
	}
}
