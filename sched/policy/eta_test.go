package policy

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ainexus.io/nexus"
)

func TestEstimatesLearnFromWhatCame(t *testing.T) {
	var h nexus.History
	j, ahead := job("a", "q", 1, 0), Ahead{Work: 64 * 3600, GPUs: 64}
	if e := Look(&h).Start(j, ahead, start); e.Plain != nexus.Duration(61*time.Minute) {
		t.Fatalf("64 GPU-hours on 64 GPUs: plain %v", e.Plain)
	}
	for i := range 200 {
		e := Look(&h).Start(j, ahead, start.Add(time.Duration(i)*time.Hour))
		LearnStart(&h, j, e, e.At.Add(3*time.Hour))
	}
	e := Look(&h).Start(j, ahead, start)
	if wait := e.Median.Sub(start); wait < 150*time.Minute || wait > 220*time.Minute {
		t.Errorf("all waited three hours, but %v is expected", wait)
	}
	if e.Low.After(start.Add(3*time.Hour)) || e.High.Before(start.Add(3*time.Hour)) {
		t.Errorf("three hours are not between %v and %v", e.Low.Sub(start), e.High.Sub(start))
	}
}

func TestTheEndsOfAnIntervalFollowTheirMisses(t *testing.T) {
	var h nexus.History
	j, ahead := job("a", "q", 1, 0), Ahead{Work: 64 * 3600, GPUs: 64}
	width := func() time.Duration { e := Look(&h).Start(j, ahead, start); return e.High.Sub(e.Low) }
	for i := range 200 {
		e := Look(&h).Start(j, ahead, start)
		LearnStart(&h, j, e, e.At.Add(time.Duration(1+i%10)*20*time.Minute))
	}
	before, late := width(), h.Late
	for range 40 {
		h.Late = correct(h.Late, true)
	}
	if h.Late >= late || width() <= before {
		t.Errorf("after forty late starts the interval is %v wide, before %v", width(), before)
	}
}

func TestEstimatesAreInOrderAndHistoriesBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h nexus.History
		for i := range rapid.IntRange(0, 100).Draw(t, "starts") {
			j := job(fmt.Sprint(i), "q", rapid.IntRange(0, 300).Draw(t, "gpus"), i)
			a := Ahead{Work: rapid.Int64Range(0, 1<<58).Draw(t, "work"), GPUs: rapid.IntRange(0, 10000).Draw(t, "fleet"),
				Head: time.Duration(rapid.Int64Range(0, 1<<55).Draw(t, "head"))}
			e := Look(&h).Start(j, a, j.Submitted)
			if e.Low.Before(e.At) || e.Median.Before(e.Low) || e.High.Before(e.Median) {
				t.Fatalf("%+v", e)
			}
			LearnStart(&h, j, e, e.At.Add(time.Duration(rapid.Int64Range(0, 1<<55).Draw(t, "wait"))))
		}
		if len(h.Waits) > kinds || h.Early < -95_000 || h.Late > 100_000 {
			t.Fatalf("%d kinds, %d, %d", len(h.Waits), h.Early, h.Late)
		}
	})
}
