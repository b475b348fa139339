package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"time"

	"ainexus.io/bench/program"
	"ainexus.io/bench/row"
)

func start() program.Figure {
	sooner := row.Line{
		What: fmt.Sprintf("launch -> first line of user code in the last of %d workers, without torch import, against torchrun 1.13; median", world),
		Unit: "ms", Must: row.AtMostTimes(">= 10x sooner", 0.1),
	}
	direct := row.Line{What: "the same against spawning the same processes; median", Unit: "ms", Must: row.AtMostMore("<= 50 ms above direct spawning", 50)}
	return program.Figure{Name: "start", Lines: []row.Line{sooner, direct}, Measure: func(ctx context.Context, b *program.Bench, report func(row.Row)) error {
		return measureStart(ctx, b, sooner, direct, report)
	}}
}

// measureStart takes turns: ours, spawned, torchrun.
func measureStart(ctx context.Context, b *program.Bench, sooner, direct row.Line, report func(row.Row)) error {
	ours, theirs, worker, err := sides(ctx, b)
	if err != nil {
		return err
	}
	ways := []func(file string) error{
		func(file string) error { return launchOnce(ctx, ours, worker, file) },
		func(file string) error { return spawnOnce(ctx, worker, file) },
		func(file string) error { return launchOnce(ctx, theirs, worker, file) },
	}
	times := make([][]float64, len(ways))
	for i := range b.Times(30) {
		for w, way := range ways {
			file := filepath.Join(b.Dir, fmt.Sprintf("start-%d-%d", i, w))
			begin := time.Now()
			if err := way(file); err != nil {
				return err
			}
			last, _, err := begun(ctx, file, 0)
			if err != nil {
				return err
			}
			times[w] = append(times[w], float64(last.Sub(begin))/1e6)
		}
	}
	report(sooner.Against(row.Median(times[0]), row.Median(times[2])))
	report(direct.Against(row.Median(times[0]), row.Median(times[1])))
	return nil
}

// launchOnce runs workers that end at once.
func launchOnce(ctx context.Context, s side, worker, file string) error {
	// It would take torchrun up to five seconds to notice the end; that is not what is measured here.
	cmd, err := s.start(ctx, "--monitor_interval", "0.1", "--no_python", worker, file)
	if err != nil {
		return err
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	return nil
}

func spawnOnce(ctx context.Context, worker, file string) error {
	var all []*exec.Cmd
	var wrong error
	for range world {
		cmd := exec.CommandContext(ctx, worker, file)
		if err := cmd.Start(); err != nil {
			wrong = err
			break
		}
		all = append(all, cmd)
	}
	for _, cmd := range all {
		if err := cmd.Wait(); err != nil {
			wrong = err
		}
	}
	return wrong
}
