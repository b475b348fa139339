package app

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"ainexus.io/cluster/sim"
	"ainexus.io/cluster/sim/trace"
	"ainexus.io/nexus"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// A small fleet is filled: what does not fit is dropped and never comes back, or waits.
func TestFragmentationByHand(t *testing.T) {
	f := Fragmentation{Pods: []trace.Job{{ID: "a", GPUs: 1, CPU: 1000, Memory: 1024}, {ID: "b", GPUs: 1, Share: 500, CPU: 1000}, {ID: "c", CPU: 1000}}}
	for i := range 10 {
		f.Nodes = append(f.Nodes, sim.Machine(fmt.Sprint("n", i), 64, 64<<10, 2, "T4", trace.OpenbGPU))
	}
	for seed := range int64(5) {
		f.Seed = seed
		r, err := f.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if r.At100 < 70 || r.At130 < 85 || r.At130 > 100 || r.At100 > r.At130 || r.Placed < 20 || r.Mix != "learned" || r.Policy != "nexus" {
			t.Errorf("seed %d: %+v", seed, r)
		}
		again, err := f.Run(t.Context())
		if again.PlacementsPerS, again.Planning = r.PlacementsPerS, r.Planning; err != nil || again != r {
			t.Errorf("seed %d twice: %+v, then %+v, %v", seed, r, again, err)
		}
		f.Queue = true
		queued, err := f.Run(t.Context())
		if f.Queue = false; err != nil || queued.At130 < r.At130-5 {
			t.Errorf("seed %d with a queue: %+v, %v", seed, queued, err)
		}
	}
	f.Pods = []trace.Job{{ID: "cpu", CPU: 1000}}
	if _, err := f.Run(t.Context()); err == nil {
		t.Error("pods without a GPU fragment nothing")
	}
}

// The order of arrival is the published one: as many pods as ask for 1.3 times what there is, within one pod.
func TestArrivals(t *testing.T) {
	var pods []trace.Job
	for i := range 40 {
		pods = append(pods, trace.Job{ID: fmt.Sprintf("p%02d", i), GPUs: 1 + i%8/7*7})
	}
	for _, machines := range []int{2, 20} {
		var nodes []nexus.Node
		for i := range machines {
			nodes = append(nodes, sim.Machine(fmt.Sprintf("n%02d", i), 8, 64<<10, 8, "T4", trace.OpenbGPU))
		}
		list, renamed, err := arrivals(pods, nodes, 42)
		if err != nil {
			t.Fatal(err)
		}
		asked := 0
		for _, p := range list {
			asked += p.GPUs
		}
		if want := 1.3 * 8 * float64(machines); float64(asked) > want+8 || float64(asked) < want-8 {
			t.Errorf("%d machines: %d GPUs asked for, not %g", machines, asked, want)
		}
		if len(renamed) != machines || nodes[0].Name != "n00" || renamed[0].Name == "n00" {
			t.Errorf("nodes %s, renamed %s", nodes[0].Name, renamed[0].Name)
		}
	}
}

// Two jobs that both want the only machine: one runs after the other, to the second.
func TestReplayByHand(t *testing.T) {
	r := Replay{
		Jobs: []trace.Job{
			{ID: "a", Submit: epoch, Duration: 1000 * time.Second, GPUs: 8},
			{ID: "b", Submit: epoch.Add(100 * time.Second), Duration: 600 * time.Second, GPUs: 3},
			{ID: "huge", Submit: epoch.Add(100 * time.Second), Duration: 600 * time.Second, GPUs: 9},
		},
		From: epoch, To: epoch.Add(2000 * time.Second), Nodes: 1, GPUsPerNode: 8,
	}
	got, err := r.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got.Jobs != 2 || got.AvgJCT != 1250 || got.AvgQueue != 450 || got.MaxQueue != 900 || got.Unfit != 1 || got.Util != 61.25 {
		t.Errorf("%+v", got)
	}
}

// Made-up work on machines that break: every job ends, twice the same is the same, and what was lost is told.
func TestReplayWithFailures(t *testing.T) {
	jobs, err := trace.Load{Rate: 20, For: 8 * time.Hour, Seed: 3, Start: epoch}.Jobs()
	if err != nil {
		t.Fatal(err)
	}
	r := Replay{Simulation: Simulation{Seed: 5}, Jobs: jobs, Nodes: 8, GPUsPerNode: 8, Failures: 4, PreemptionCost: time.Minute}
	var told []int
	r.Progress = func(done, total int) { told = append(told, done) }
	got, err := r.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got.Jobs != len(jobs)-got.Unfit || got.Losses == 0 || len(got.Took) != got.Jobs || len(told) == 0 || len(told) > 102 {
		t.Errorf("%d jobs of %d, %d lost, told %v", got.Jobs, len(jobs), got.Losses, told)
	}
	again, err := r.Run(t.Context())
	if again.Planning = got.Planning; err != nil || !reflect.DeepEqual(got, again) {
		t.Errorf("twice the same is not the same: %v", err)
	}
}

// What a policy cannot do is refused before anything runs.
func TestPoliciesAreAskedForWhatTheyCan(t *testing.T) {
	for _, k := range []knowledge{{moves: 5}, {slicing: true}} {
		if _, err := choose("fifo", k); err == nil {
			t.Errorf("%+v is granted", k)
		}
	}
	if _, err := choose("nexsu", knowledge{}); err == nil || fmt.Sprint(err) == "" {
		t.Error("there is no such policy")
	}
}
