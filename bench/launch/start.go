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
	sooner := eachRelease(func(release string) row.Line {
		return row.Line{
			What: fmt.Sprintf("launch -> first line of user code in the last of %d workers, without torch import, against torchrun %s; median", world, release),
			Unit: "ms", Must: row.AtMostTimes(">= 10x sooner", 0.1),
		}
	})
	direct := row.Line{What: "the same against spawning the same processes; median", Unit: "ms", Must: row.AtMostMore("<= 50 ms above direct spawning", 50)}
	return program.Figure{Name: "start", Lines: append(sooner, direct), Measure: func(ctx context.Context, b *program.Bench, report func(row.Row)) error {
		return measureStart(ctx, b, sooner, direct, report)
	}}
}

// measureStart takes turns: ours, spawned, each torchrun.
func measureStart(ctx context.Context, b *program.Bench, sooner []row.Line, direct row.Line, report func(row.Row)) error {
	us, err := ours(ctx, b)
	if err != nil {
		return err
	}
	program, err := worker(ctx, b)
	if err != nil {
		return err
	}
	peers := rivals(ctx, b, sooner, report)
	timed := func(name string, way func(file string) error) (float64, error) {
		file := filepath.Join(b.Dir, "start-"+name)
		begin := time.Now()
		if err := way(file); err != nil {
			return 0, err
		}
		last, _, err := begun(ctx, file, 0)
		return float64(last.Sub(begin)) / 1e6, err
	}
	var our, spawned []float64
	for i := range b.Times(30) {
		ms, err := timed(fmt.Sprint("ours-", i), func(file string) error { return launchOnce(ctx, us, program, file) })
		if err != nil {
			return err
		}
		our = append(our, ms)
		if ms, err = timed(fmt.Sprint("spawned-", i), func(file string) error { return spawnOnce(ctx, program, file) }); err != nil {
			return err
		}
		spawned = append(spawned, ms)
		for n, p := range peers {
			if ms, err = timed(fmt.Sprint("torchrun-", n, "-", i), func(file string) error { return launchOnce(ctx, p.side, program, file) }); err != nil {
				return err
			}
			p.samples = append(p.samples, ms)
		}
	}
	for _, p := range peers {
		report(p.line.Against(row.Median(our), row.Median(p.samples)))
	}
	report(direct.Against(row.Median(our), row.Median(spawned)))
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
