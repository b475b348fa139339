package main

import (
	"context"
	"slices"
	"time"

	"ainexus.io/bench/program"
	"ainexus.io/bench/row"
	"ainexus.io/nexus"
	"ainexus.io/sched"
)

const (
	queued      = 10_000
	fullNodes   = 500
	fullSamples = 30
)

// fullPlan is what a planner that was told nothing before needs for everything: after the daemon's start, say.
func fullPlan() program.Figure {
	const where = "full plan, 10,000 queued x 500 nodes x 8, p99 of 30 fresh plans: "
	idle := row.Line{What: where + "the fleet idle", Unit: "ms"}
	busy := row.Line{What: where + "the fleet busy", Unit: "ms"}
	return program.Figure{Name: "full plan", Lines: []row.Line{idle, busy}, Measure: func(ctx context.Context, b *program.Bench, report func(row.Row)) error {
		l := newLoad()
		empty := nexus.Snapshot{At: l.at, Nodes: l.fleet(fullNodes), Queues: l.queues(), Jobs: l.jobs(queued)}
		full := filled(l, empty)
		defer oneCore()()
		var times [2][]float64
		for range b.Times(fullSamples) {
			for i, s := range []nexus.Snapshot{empty, full} {
				if err := ctx.Err(); err != nil {
					return err
				}
				begin := time.Now()
				plan := sched.Plan(s, ours())
				times[i] = append(times[i], milliseconds(time.Since(begin)))
				if len(times[i]) == 1 {
					b.Say("%d jobs placed, %d told why they wait, in %.0f ms", len(plan.Place), len(plan.Hold), times[i][0])
				}
			}
		}
		b.Say("medians: idle %.1f ms, busy %.1f ms", row.Median(times[0]), row.Median(times[1]))
		report(idle.Alone(row.Percentile(times[0], 99)))
		report(busy.Alone(row.Percentile(times[1], 99)))
		return nil
	}}
}

// filled is the fleet with what its plan says running, and as many queued as before.
func filled(l *load, s nexus.Snapshot) nexus.Snapshot {
	s.Jobs = slices.Clone(s.Jobs)
	started := newStand(s.Jobs).carryOut(sched.Plan(s, ours())).Jobs
	s.Jobs = append(s.Jobs, l.jobs(len(started))...)
	return s
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
