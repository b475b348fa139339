package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"

	"ainexus.io/bench/machine"
	"ainexus.io/bench/program"
	"ainexus.io/bench/row"
)

//go:embed join.py
var joinScript string

func join() program.Figure {
	line := row.Line{
		What: fmt.Sprintf("init_process_group, %d ranks, gloo: from the last rank's call until all are answered, --standalone, against torchrun 1.13; median", world),
		Unit: "ms", Must: row.AtMostTimes("<= 0.3x", 0.3),
	}
	return program.Figure{Name: "init_process_group", Lines: []row.Line{line}, Measure: func(ctx context.Context, b *program.Bench, report func(row.Row)) error {
		us, err := ours(ctx, b)
		if err != nil {
			return err
		}
		them, err := torchrun(ctx, b, "1.13")
		if err != nil {
			return err
		}
		script := filepath.Join(b.Dir, "join.py")
		if err := os.WriteFile(script, []byte(joinScript), 0o600); err != nil {
			return err
		}
		var times [2][]float64
		for i := range b.Times(5) {
			for n, s := range []side{us, them} {
				ms, err := joined(ctx, s, script, filepath.Join(b.Dir, fmt.Sprintf("join-%d-%d", i, n)))
				if err != nil {
					return err
				}
				times[n] = append(times[n], ms)
			}
		}
		report(line.Against(row.Median(times[0]), row.Median(times[1])))
		return nil
	}}
}

// joined runs the ranks once and gives how long it took from when the last one called until all were answered, in milliseconds: what
// importing torch takes is not in it.
func joined(ctx context.Context, s side, script, file string) (ms float64, err error) {
	cmd, err := s.begin(ctx, "--standalone", "--no_python", machine.Python, script, file)
	if err != nil {
		return 0, err
	}
	if err := cmd.Wait(); err != nil {
		return 0, fmt.Errorf("%s: %w", s.name, err)
	}
	var called, answered float64
	for rank := range world {
		text, err := os.ReadFile(fmt.Sprint(file, ".", rank))
		if err != nil {
			return 0, err
		}
		var from, to float64
		if _, err := fmt.Sscan(string(text), &from, &to); err != nil {
			return 0, fmt.Errorf("reading what rank %d noted: %w", rank, err)
		}
		called, answered = max(called, from), max(answered, to)
	}
	return 1000 * (answered - called), nil
}
