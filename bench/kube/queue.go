package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"ainexus.io/bench/program"
	"ainexus.io/bench/row"
)

// Probes are jobs that are submitted one after the other on the full cluster: so many, or fewer where that takes long.
const (
	probesMost  = 100
	probesLeast = 30
	probesFor   = 3 * time.Minute
)

// queue has jobs wait on the full cluster, and then asks how long it takes until one more knows why.
func queue(f *fleet) program.Figure {
	reason := row.Line{What: fmt.Sprintf("submit -> reason of a job that cannot start with %d queued, p99", f.queued), Unit: "s", Must: row.AtMost("<= 25 s", 25)}
	burst := row.Line{What: fmt.Sprintf("the same for each of the %d that are submitted at once, p99", f.queued), Unit: "s"}
	memory := row.Line{What: fmt.Sprintf("controller RSS at %d jobs", f.counted()), Unit: "MiB", Must: row.AtMost("<= 384 MiB", 384)}
	memoryAll := row.Line{What: fmt.Sprintf("controller RSS at %d jobs, once all have a reason", f.jobs+f.queued), Unit: "MiB"}
	lines := []row.Line{memory, memoryAll, burst, reason}
	return program.Figure{Name: "queue", Lines: lines, Measure: func(ctx context.Context, b *program.Bench, report func(row.Row)) error {
		if err := f.filled(ctx, b); err != nil {
			return err
		}
		if !f.side.full {
			return errNotFull
		}
		first := f.counted() - f.jobs
		for _, part := range []struct {
			name string
			n    int
			line row.Line
		}{{"early", first, memory}, {"queued", f.queued - first, memoryAll}} {
			if err := f.wait(ctx, part.name, part.n); err != nil {
				return err
			}
			rss, err := f.controller.rss()
			if err != nil {
				return err
			}
			report(part.line.Alone(rss))
		}
		b.Say("our controller has had %.1f s of processor time so far", f.controller.seconds())
		report(burst.Alone(row.Percentile(slices.Concat(f.latencies("early", first), f.latencies("queued", f.queued-first)), 99)))
		probes, end := 0, time.Now().Add(probesFor)
		for ; probes < b.Times(probesMost) && (probes < b.Times(probesLeast) || time.Now().Before(end)); probes++ {
			if err := f.wait(ctx, fmt.Sprintf("probe%d", probes), 1); err != nil {
				return err
			}
		}
		var took []float64
		for i := range probes {
			took = append(took, f.latencies(fmt.Sprintf("probe%d", i), 1)...)
		}
		b.Say("%d probes: median %.2f s, most %.2f s", probes, row.Median(took), slices.Max(took))
		report(reason.Alone(row.Percentile(took, 99)))
		return nil
	}}
}

// counted is at how many jobs the controller's memory is read: 10,000 where there are so many.
func (s size) counted() int { return min(s.jobs+s.queued, max(s.jobs, 10000)) }

// wait makes jobs that cannot start and waits until each has been told why.
func (f *fleet) wait(ctx context.Context, name string, n int) error {
	log := f.plane.log
	if err := f.side.make(ctx, f.plane, name, n, "runs"); err != nil {
		return err
	}
	return log.wait(ctx, f.plane.say, "the reasons of "+name, func() bool { return log.knows[name] >= n })
}

// latencies is how long it took from the request for each of these jobs until it had its reason.
func (f *fleet) latencies(name string, n int) (list []float64) {
	log := f.plane.log
	log.mu.Lock()
	defer log.mu.Unlock()
	for i := range n {
		name := fmt.Sprintf("%s-%d", name, i)
		list = append(list, log.told[name].Sub(log.created[name]).Seconds())
	}
	return list
}
