package policy

import (
	"testing"
	"time"

	"ainexus.io/nexus"
)

func TestACriticalJobPassesTheCapAndNotTheMinimum(t *testing.T) {
	b := Bounds{MinRun: time.Hour, Most: 2}
	victim := runs(job("victim", "q", 1, 0), 10)
	for _, row := range []struct {
		waiting, running nexus.Priority
		preemptions      int
		spared           bool
	}{
		{nexus.High, nexus.Low, 1, false},
		{nexus.High, nexus.Low, 2, true},
		{nexus.Critical, nexus.Low, 2, false},
		{nexus.Critical, nexus.Critical, 2, true}, // as an equal, or to reclaim
	} {
		urgent := job("urgent", "q", 1, 30)
		urgent.Spec.Priority, victim.Spec.Priority, victim.Preemptions = row.waiting, row.running, row.preemptions
		if got := b.Spares(urgent, victim); got != row.spared {
			t.Errorf("%s for %s after %d preemptions is spared: %v", row.running, row.waiting, row.preemptions, got)
		}
	}
	if at := b.RipeAt(victim); at != start.Add(70*time.Minute) {
		t.Errorf("ripe at %v", at)
	}
}

func TestWhoMayBeEvictedShrinksAsSoonAndOthersLater(t *testing.T) {
	begun := start.Add(10 * time.Minute)
	for _, row := range []struct {
		b                 Bounds
		waiting           nexus.Priority
		saves             bool
		preemptions, want int // minutes after its start; -1: never
	}{
		{DefaultBounds(), nexus.High, false, 0, 0},
		{DefaultBounds(), nexus.Normal, true, 0, 10},
		{DefaultBounds(), nexus.Normal, false, 0, -1},
		{DefaultBounds(), nexus.Low, true, 0, -1},
		{DefaultBounds(), nexus.High, true, 16, 10}, // it is not preempted any more, but resized
		{DefaultBounds(), nexus.High, false, 16, -1},
		{Bounds{MinRun: time.Hour, Most: 16}, nexus.High, true, 0, 60},
		{Bounds{MinRun: time.Hour, Most: 16}, nexus.Normal, true, 0, 60},
		{Bounds{MinRun: time.Minute, Most: 16}, nexus.Normal, true, 0, 10},
	} {
		running, waiting := runs(job("running", "q", 1, 0), 10), job("waiting", "q", 1, 0)
		running.Preemptions, waiting.Spec.Priority = row.preemptions, row.waiting
		if row.saves {
			running.Spec.Checkpoint = &nexus.CheckpointSpec{}
			saves(running)
		}
		want := begun.Add(time.Duration(row.want) * time.Minute)
		if row.want < 0 {
			want = time.Time{}
		}
		if at := row.b.ShrinksAt(waiting, running); !at.Equal(want) {
			t.Errorf("%+v: at %v", row, at)
		}
	}
}

func TestAQueueSaysItsBoundsPartByPart(t *testing.T) {
	hour, three := nexus.Duration(time.Hour), 3
	org := DefaultBounds().Of(&nexus.Queue{MinRunTime: &hour})
	if team := org.Of(&nexus.Queue{MaxPreemptions: &three}); team != (Bounds{MinRun: time.Hour, Most: 3}) || org.Most != MostPreemptions {
		t.Errorf("%+v below %+v", team, org)
	}
}
