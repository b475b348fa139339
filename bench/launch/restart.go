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
	must := map[string]row.Must{"1.13": row.AtMostTimes(">= 10x", 0.1), "2.6": row.AtMostTimes(">= 2x sooner", 0.5)}
	look := map[string]string{"1.13": "5 s", "2.6": "0.1 s"}
	lines := eachRelease(func(release string) row.Line {
		return row.Line{
			What: fmt.Sprintf("1 of %d workers exits for the first time -> all restarted, against torchrun %s with its default of a look every %s; median", world, release, look[release]),
			Unit: "ms", Must: must[release],
		}
	})
	return program.Figure{Name: "restart", Lines: lines, Measure: func(ctx context.Context, b *program.Bench, report func(row.Row)) error {
		return measureRestart(ctx, b, lines, report)
	}}
}

// measureRestart takes turns. torchrun takes as long for its sixth restart as for its first, so one run of each does; ours pauses longer
// each time, but does not look at times, so that it need not be waited for: each of its deaths is the first of a run.
func measureRestart(ctx context.Context, b *program.Bench, lines []row.Line, report func(row.Row)) error {
	us, err := ours(ctx, b)
	if err != nil {
		return err
	}
	program, err := worker(ctx, b)
	if err != nil {
		return err
	}
	peers := rivals(ctx, b, lines, report)
	var our []float64
	for i := range b.Times(5) {
		var delays []string // deaths at all phases of a look every 5 s
		for k := range deaths {
			delays = append(delays, fmt.Sprint((700+130*i)*(k+1)%5000, "ms"))
		}
		for k := range deaths {
			ms, err := restarts(ctx, us, program, filepath.Join(b.Dir, fmt.Sprintf("restart-%d-ours-%d", i, k)), []string{"300ms"})
			if err != nil {
				return err
			}
			our = append(our, ms...)
		}
		err := atOnce(len(peers), func(n int) error { // most of it is waiting for the next look
			ms, err := restarts(ctx, peers[n].side, program, filepath.Join(b.Dir, fmt.Sprintf("restart-%d-%d", i, n)), delays)
			peers[n].samples = append(peers[n].samples, ms...)
			return err
		})
		if err != nil {
			return err
		}
	}
	for _, p := range peers {
		report(p.line.Against(row.Median(our), row.Median(p.samples)))
	}
	b.Say("%d samples each", len(our))
	return nil
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
