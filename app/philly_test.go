package app

import (
	"io"
	"testing"
	"time"

	"ainexus.io/cluster/sim/trace"
)

// Two weeks of a public trace, on 64 machines: how long jobs take on average, with nobody evicted. It takes some ten
// seconds of one core; ten times that under the race detector, where the smaller replays of simulation_test.go have to do.
func TestPhilly(t *testing.T) {
	if raceEnabled || testing.Short() {
		t.Log("only without the race detector and -short")
		return
	}
	jobs := public(t, "philly/philly_jobs_before_2017-10-23.csv", func(in io.Reader) ([]trace.Job, trace.Report, error) {
		return trace.Read(trace.Philly, in)
	})
	from := time.Date(2017, 10, 9, 0, 0, 0, 0, time.UTC)
	to := from.AddDate(0, 0, 14)
	r := Replay{Jobs: trace.Window(jobs, from, to), From: from, To: to, Nodes: 64, GPUsPerNode: 8, PreemptionCost: time.Minute}
	got, err := r.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("average completion time %.0f s, largest wait %.0f s, %d preemptions", got.AvgJCT, got.MaxQueue, got.Preemptions)
	if got.Jobs != 26_936 || got.AvgJCT > 13_500 || got.Preemptions != 0 {
		t.Errorf("%d jobs took %.0f s on average, with %d preemptions", got.Jobs, got.AvgJCT, got.Preemptions)
	}
}
