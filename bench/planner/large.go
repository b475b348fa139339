package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"time"

	"ainexus.io/bench/machine"
	"ainexus.io/bench/program"
	"ainexus.io/bench/row"
	"ainexus.io/nexus"
	"ainexus.io/sched"
)

const (
	largeVerb   = "large" // the program calls itself, so that its memory is that of this figure alone
	largeQueued = 100_000
	largeNodes  = 10_000
	warmEvents  = 3
)

// largeFigures is what the child tells.
type largeFigures struct {
	Full    float64   // ms, of the first plan
	Placed  int       // by it
	Events  []float64 // ms, each: somebody ended and somebody came, and what was decided about it was carried out
	Decided int       // placements and evictions of all events
	Peak    int64     // bytes, resident
	Heap    uint64    // bytes, live after a collection
}

// largeFleet is one fleet of the largest size that is looked at: all of it once, then one thing at a time.
func largeFleet() program.Figure {
	const where = "100,000 queued x 10,000 nodes x 8: "
	full := row.Line{What: where + "full plan", Unit: "ms"}
	event := row.Line{What: where + "one event (a job ends, a job arrives), median, against the full plan", Unit: "ms", Must: row.AtMostTimes("event <= 1/50 of full", 1.0/50)}
	memory := row.Line{What: where + "peak RSS of the process, input and planner, under GOMEMLIMIT=960MiB", Unit: "GiB", Must: row.AtMost("<= 1 GiB", 1)}
	return program.Figure{Name: "large fleet", Lines: []row.Line{full, event, memory}, Measure: func(ctx context.Context, b *program.Bench, report func(row.Row)) error {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		child := exec.CommandContext(ctx, self, largeVerb, strconv.Itoa(b.Times(100)))
		child.Env = append(os.Environ(), "GOMAXPROCS=1", "GOMEMLIMIT=960MiB")
		child.Stderr = b.Log
		out, err := child.Output()
		if err != nil {
			return fmt.Errorf("measuring a large fleet: %w", err)
		}
		var f largeFigures
		if err := json.Unmarshal(out, &f); err != nil {
			return fmt.Errorf("measuring a large fleet: %w", err)
		}
		b.Say("the full plan places %d jobs; events: p95 %.2f ms, %d decisions; %.0f MiB live in the end", f.Placed, row.Percentile(f.Events, 95), f.Decided, float64(f.Heap)/(1<<20))
		report(full.Alone(f.Full))
		report(event.Against(row.Median(f.Events), f.Full))
		report(memory.Alone(float64(f.Peak) / (1 << 30)))
		return nil
	}}
}

// large is the child: it takes how many events to time.
func large(args []string, out io.Writer) error {
	if len(args) != 1 {
		return errors.New("large takes a number of events")
	}
	events, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	runtime.GOMAXPROCS(1)
	f := measureLarge(largeQueued, largeNodes, events)
	if f.Peak, err = machine.PeakRSS(os.Getpid()); err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(f)
}

// measureLarge times a fresh planner that is told everything, and then events. An event is over when the planner has
// been told that what it decided was carried out.
func measureLarge(queued, nodes, events int) largeFigures {
	l := newLoad()
	planner := sched.New(ours())
	all := nexus.Delta{Full: true, Nodes: l.fleet(nodes), Queues: l.queues(), Jobs: l.jobs(queued)}
	stands := newStand(all.Jobs)
	begin := time.Now()
	plan := planner.Step(all, l.at)
	f := largeFigures{Full: milliseconds(time.Since(begin)), Placed: len(plan.Place)}
	all = nexus.Delta{}
	planner.Step(stands.carryOut(plan), l.at)
	for i := range warmEvents + events {
		l.at = l.at.Add(time.Second)
		d := stands.event(l)
		begin := time.Now()
		plan := planner.Step(d, l.at)
		answer := stands.carryOut(plan)
		if !answer.Empty() {
			planner.Step(answer, l.at)
		}
		if i >= warmEvents {
			f.Events = append(f.Events, milliseconds(time.Since(begin)))
			f.Decided += len(plan.Place) + len(plan.Evict)
		}
	}
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	f.Heap = m.HeapAlloc
	runtime.KeepAlive(planner)
	runtime.KeepAlive(stands)
	return f
}
