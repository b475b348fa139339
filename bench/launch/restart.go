package main

import (
	"context"
	"fmt"
	"path/filepath"

	"ainexus.io/bench/program"
	"ainexus.io/bench/row"
)

// deaths is how many samples a turn of each side gives.
const deaths = 6

func restart() program.Figure {
	line := row.Line{
		What: fmt.Sprintf("1 of %d workers exits for the first time -> all restarted, against torchrun 1.13 with its default of a look every 5 s; median", world),
		Unit: "ms", Must: row.AtMostTimes(">= 10x sooner", 0.1),
	}
	return program.Figure{Name: "restart", Lines: []row.Line{line}, Measure: func(ctx context.Context, b *program.Bench, report func(row.Row)) error {
		ours, theirs, worker, err := sides(ctx, b)
		if err != nil {
			return err
		}
		var times [2][]float64
		for i := range b.Times(5) {
			var delays []string // deaths at all phases of torchrun's look
			for k := range deaths {
				delays = append(delays, fmt.Sprint((700+130*i)*(k+1)%5000, "ms"))
			}
			// torchrun takes as long for its sixth restart as for its first, so one run does; ours pauses longer each time, but
			// does not look at times, so that it need not be waited for.
			runs := [2][][]string{1: {delays}}
			for range delays {
				runs[0] = append(runs[0], []string{"300ms"})
			}
			for n, s := range []side{ours, theirs} {
				for k, delays := range runs[n] {
					file := filepath.Join(b.Dir, fmt.Sprintf("restart-%d-%d-%d", i, n, k))
					more, err := restarts(ctx, s, worker, file, delays)
					if err != nil {
						return err
					}
					times[n] = append(times[n], more...)
				}
			}
		}
		report(line.Against(row.Median(times[0]), row.Median(times[1])))
		b.Say("%d samples each; ours include a pause of 100 ms", len(times[0]))
		return nil
	}}
}

// restarts runs a gang through its deaths, one after each delay, and gives how long each time it took until the last worker of the
// next round began.
func restarts(ctx context.Context, s side, worker, file string, delays []string) (ms []float64, err error) {
	args := append([]string{"--max_restarts", fmt.Sprint(len(delays)), "--no_python", worker, file, "die"}, delays...)
	cmd, err := s.start(ctx, args...)
	if err != nil {
		return nil, err
	}
	defer stop(cmd)
	for round := range delays {
		last, all, err := begun(ctx, file, round+1)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
		for _, stamp := range all {
			if stamp.what == "die" && stamp.round == round {
				ms = append(ms, float64(last.Sub(stamp.at))/1e6)
			}
		}
	}
	if len(ms) != len(delays) {
		return nil, fmt.Errorf("%s: %d deaths were noted, not %d", s.name, len(ms), len(delays))
	}
	return ms, nil
}
