// Collective compares train/collective with what PyTorch and MPI programs reduce with, and train/checkpoint with what
// PyTorch saves with: rows of the figures for distributed training in docs/benchmarks.md.
//
//	go run ./bench/collective [--json] [-only REGEXP] [-quick]
//
// Rows go to stdout, one JSON object per line or a table; conditions and progress to stderr. It installs its peers,
// keeps everything in a temporary directory, and leaves no process. It exits with 0 whenever it ran to its end: what holds
// and what does not is in the rows.
package main

import (
	"context"
	"fmt"

	"ainexus.io/bench/program"
	"ainexus.io/bench/rank"
	"ainexus.io/bench/row"
)

func main() { program.Main(run) }

func run(args []string) error {
	if len(args) > 0 && args[0] == rank.Verb {
		return rank.Run(args[1:])
	}
	flags := program.NewFlags("collective")
	flags.Explain("only", "measure only the figures whose name matches this regular expression: all-reduce 2, all-reduce 4, checkpoint")
	b, err := flags.Parse(args)
	if err != nil {
		return err
	}
	ctx, stop := program.Interruptible()
	defer stop()
	if err := b.Open(); err != nil {
		return err
	}
	defer b.Close()
	conditions := b.Peers(ctx, "openmpi-bin", "libopenmpi-dev")
	return b.Measure(ctx, conditions, func(ctx context.Context) error { return measure(ctx, b) })
}

func measure(ctx context.Context, b *program.Bench) error {
	for _, world := range []int{2, 4} {
		name := fmt.Sprintf("all-reduce %d", world)
		if !b.Only.MatchString(name) {
			continue
		}
		b.Say("%s ...", name)
		err := b.Rows.Owe(ctx, lines(world), func(report func(row.Row)) error { return compare(ctx, b, world, report) })
		if err != nil {
			return err
		}
	}
	if !b.Only.MatchString("checkpoint") {
		return nil
	}
	b.Say("checkpoint ...")
	return b.Rows.Owe(ctx, checkpointLines(), func(report func(row.Row)) error { return compareCheckpoints(ctx, b, report) })
}
