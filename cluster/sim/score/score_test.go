package score

import (
	"testing"
	"time"

	"ainexus.io/cluster/sim"
	"ainexus.io/nexus"
)

var dawn = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func after(seconds int) time.Time { return dawn.Add(time.Duration(seconds) * time.Second) }

// Two jobs on two GPUs: a holds one for 1000 s, with an eviction in between; b waits 200 s for 100 s of work.
func TestFiguresByHand(t *testing.T) {
	work := map[string]time.Duration{"a": 900 * time.Second, "b": 100 * time.Second}
	tally := New(2, dawn, after(2000), func(job string) time.Duration { return work[job] })
	job := func(id string, submitted int, gpus int) *nexus.Job {
		return &nexus.Job{ID: id, Submitted: after(submitted), Placement: &nexus.Placement{Seats: []nexus.Seat{{GPUs: make([]nexus.SeatGPU, gpus)}}}}
	}
	a, b := job("a", 0, 1), job("b", 0, 2)
	for _, h := range []sim.Happening{
		{At: after(0), Kind: sim.Submitted, Job: a},
		{At: after(0), Kind: sim.Began, Job: a},
		{At: after(0), Kind: sim.Submitted, Job: b},
		{At: after(200), Kind: sim.Ended, Job: a, Cause: nexus.CausePreempt},
		{At: after(200), Kind: sim.Began, Job: b},
		{At: after(300), Kind: sim.Ended, Job: b},
		{At: after(300), Kind: sim.Over, Job: b},
		{At: after(300), Kind: sim.Began, Job: a},
		{At: after(1100), Kind: sim.Ended, Job: a},
		{At: after(1100), Kind: sim.Over, Job: a},
	} {
		if h.Kind == sim.Ended && h.Job == a && h.Cause != "" {
			tally.Estimated("b", after(100), Estimate{Low: after(150), Median: after(150), High: after(250)})
			tally.Estimated("b", after(150), Estimate{Low: after(900), Median: after(900), High: after(900)}) // the first counts
		}
		tally.Observe(h)
	}
	f := tally.Figures()
	if f.Jobs != 2 || f.AvgJCT != 700 || f.P50JCT != 700 || f.AvgQueue != 200 || f.MaxQueue != 200 || f.Preemptions != 1 {
		t.Errorf("%+v", f)
	}
	if f.Util != 30 { // (200 + 2*100 + 800) of 4000
		t.Errorf("utilisation %g", f.Util)
	}
	if f.AvgBSLD != 1.111 { // (1100/900 + at least 1) / 2
		t.Errorf("slowdown %g", f.AvgBSLD)
	}
	if f.Coverage == nil || *f.Coverage != 100 || *f.RelErr != 0.5 {
		t.Errorf("estimates: %v %v", f.Coverage, f.RelErr)
	}
	if s := tally.Series(); len(s) != 4 || s[0].Busy != 1 || s[0].Waiting != 1 || s[1].Busy != 2 || s[1].Waiting != 1 || s[3].Busy != 0 || s[3].Waiting != 0 {
		t.Errorf("series %+v", s)
	}
}

func TestNothingComesToNothing(t *testing.T) {
	f := New(0, dawn, dawn, nil).Figures()
	if f.Jobs != 0 || f.AvgJCT != 0 || f.Util != 0 || f.Coverage != nil {
		t.Errorf("%+v", f)
	}
}
