package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"ainexus.io/bench/machine"
	"ainexus.io/bench/program"
	"ainexus.io/bench/row"
)

// rest is how long a launcher is left alone before its memory is read: ours gives back what starting took only when its workers
// have run for a while, and what counts is what it costs beside a job.
const rest = 5 * time.Second

func memory() program.Figure {
	lines := eachRelease(func(release string) row.Line {
		return row.Line{
			What: fmt.Sprintf("agent + keeper memory (PSS) of nexus launch with %d sleeping workers, no daemon up, against torchrun %s's agent; median", world, release),
			Unit: "MiB", Must: row.AtMostTimes("<= 1/8", 1.0/8),
		}
	})
	return program.Figure{Name: "memory", Lines: lines, Measure: func(ctx context.Context, b *program.Bench, report func(row.Row)) error {
		us, err := ours(ctx, b)
		if err != nil {
			return err
		}
		program, err := worker(ctx, b)
		if err != nil {
			return err
		}
		all := append([]*rival{{side: us}}, rivals(ctx, b, lines, report)...)
		for i := range b.Times(5) {
			// No two of them map the same files, so they may rest side by side.
			err := atOnce(len(all), func(n int) error {
				mib, err := restingMemory(ctx, all[n].side, program, filepath.Join(b.Dir, fmt.Sprintf("memory-%d-%d", i, n)))
				all[n].samples = append(all[n].samples, mib)
				return err
			})
			if err != nil {
				return err
			}
		}
		our := all[0].samples
		for _, p := range all[1:] {
			report(p.line.Against(row.Median(our), row.Median(p.samples)))
		}
		b.Say("%d samples each; ours %.1f to %.1f MiB", len(our), slices.Min(our), slices.Max(our))
		return nil
	}}
}

// restingMemory is what a launcher and its helpers hold, without the workers, in MiB.
func restingMemory(ctx context.Context, s side, worker, file string) (float64, error) {
	cmd, err := s.start(ctx, "--no_python", worker, file, "sleep")
	if err != nil {
		return 0, err
	}
	defer stop(cmd)
	if _, _, err := begun(ctx, file, 0); err != nil {
		return 0, err
	}
	select {
	case <-time.After(rest):
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	children, err := machine.Children(cmd.Process.Pid)
	if err != nil {
		return 0, err
	}
	pids := []int{cmd.Process.Pid}
	for _, child := range children {
		if len(child.Args) > 0 && child.Args[0] != worker {
			pids = append(pids, child.PID) // the keeper; torchrun has none
		}
	}
	bytes, err := machine.PSS(pids...)
	return float64(bytes) / (1 << 20), err
}
