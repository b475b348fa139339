package main

import (
	"io"
	"math"
	"reflect"
	"strings"
	"testing"

	"ainexus.io/app"
	"ainexus.io/bench/program"
	"ainexus.io/bench/row"
	"ainexus.io/cluster/sim"
	"ainexus.io/cluster/sim/trace"
	"ainexus.io/nexus"
)

func TestEveryLineHasItsOwnName(t *testing.T) {
	seen := make(map[string]bool)
	for _, f := range figures("") {
		if len(f.Lines) == 0 {
			t.Errorf("%s owes no line", f.Name)
		}
		for _, line := range f.Lines {
			if seen[line.What] {
				t.Errorf("two lines are called %q", line.What)
			}
			seen[line.What] = true
		}
	}
}

// Without the traces every row that needs them is there, and says why it is not measured.
func TestWithoutTracesTheRowsAreStillThere(t *testing.T) {
	for _, f := range []program.Figure{placements(t.TempDir()), quality(t.TempDir()), completion(t.TempDir())} {
		var out strings.Builder
		b := &program.Bench{Rows: row.NewPrinter(&out, true), Log: io.Discard}
		if err := b.Take(t.Context(), f); err != nil {
			t.Fatal(err)
		}
		rows := strings.Count(out.String(), "\n")
		if rows != len(f.Lines) || strings.Count(out.String(), `"ok":false,"why":"traces absent"`) != rows {
			t.Errorf("%s owes %d rows and printed\n%s", f.Name, len(f.Lines), out.String())
		}
	}
}

// The load is the same each time, and each of its jobs fits on some machine of the fleet.
func TestTheLoadIsTheSameEachTime(t *testing.T) {
	a, b := newLoad(), newLoad()
	if !reflect.DeepEqual(a.fleet(20), b.fleet(20)) || !reflect.DeepEqual(a.jobs(200), b.jobs(200)) {
		t.Error("two loads differ")
	}
	kinds, gangs := map[nexus.Type]bool{}, 0
	for _, j := range a.jobs(200) {
		kinds[j.Spec.Type] = true
		gangs += bit(j.Spec.Nodes.Min > 1)
	}
	if len(kinds) != 4 || gangs == 0 {
		t.Errorf("%d types, %d gangs", len(kinds), gangs)
	}
}

// A small fleet goes the way of the large one.
func TestASmallFleetIsMeasuredLikeTheLargeOne(t *testing.T) {
	f := measureLarge(200, 5, 4)
	if f.Placed == 0 || len(f.Events) != 4 || f.Full <= 0 || f.Heap == 0 {
		t.Errorf("%+v", f)
	}
}

// What the planner gives out here is what it gives out through the engine.
func TestFillingIsWhatTheSimulatorDoes(t *testing.T) {
	run := app.Fragmentation{
		Simulation: app.Simulation{Seed: 7}, Known: true,
		Pods: []trace.Job{{ID: "a", GPUs: 1, CPU: 1000, Memory: 1024}, {ID: "b", GPUs: 1, Share: 500, CPU: 1000}, {ID: "c", CPU: 1000}},
	}
	for _, name := range []string{"n1", "n2", "n3", "n4", "n5", "n6", "n7", "n8", "n9"} {
		run.Nodes = append(run.Nodes, sim.Machine(name, 64, 64<<10, 8, "T4", trace.OpenbGPU))
	}
	want, err := run.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got, err := fill(run)
	if err != nil || got.placed != want.Placed || got.arrived != want.Pods || math.Abs(got.at100-want.At100) > 0.001 {
		t.Errorf("%+v, %v; the simulator has %+v", got, err, want)
	}
	if twice := copied(run, 2); len(twice.Nodes) != 18 || len(twice.Pods) != 6 || twice.Nodes[0].GPUs[0].UUID == twice.Nodes[9].GPUs[0].UUID {
		t.Errorf("two copies have %d nodes and %d pods", len(twice.Nodes), len(twice.Pods))
	}
}

func TestPublishedRuns(t *testing.T) {
	runs, _, err := readPublished(strings.NewReader("workload,sc_policy,tune,seed,100,130\nopenb_pod_list_default,06-FGD,1.3,42,95.0,95.2\nopenb_pod_list_default,06-FGD,1.3,43,96.0,96.2\n"))
	if err != nil {
		t.Fatal(err)
	}
	if m := (&bench{Bench: &program.Bench{}}).publishedMean(runs, "default", "fgd", 100); m != 95.5 {
		t.Errorf("the mean is %v", m)
	}
	for _, bad := range []string{"", "a,b\n", "workload,sc_policy,seed,100,130\nx,06-FGD,many,1,2\n", "workload,sc_policy,seed,100,130\nx,06-FGD,42,much,2\n"} {
		if _, _, err := readPublished(strings.NewReader(bad)); err == nil {
			t.Errorf("%q is read", bad)
		}
	}
}
