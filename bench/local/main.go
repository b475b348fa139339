// Local measures what one machine can do with AI-Nexus: the rows of "Figures" in docs/benchmarks.md.
//
//	go run ./bench/local [--json] [-only REGEXP] [-quick]
//
// Rows go to stdout, one JSON object per line or a table; what they were measured on, and what is going on, to stderr.
// It installs its peers, builds the program, keeps everything in a temporary directory, and leaves no process. It exits
// with 0 whenever it ran to its end: what holds and what does not is in the rows.
package main

import (
	"ainexus.io/bench/program"
	"ainexus.io/bench/rank"
)

func main() { program.Main(run) }

func run(args []string) error {
	if len(args) > 0 && args[0] == rank.Verb {
		return rank.Run(args[1:])
	}
	b, err := program.NewFlags("local").Parse(args)
	if err != nil {
		return err
	}
	ctx, stop := program.Interruptible()
	defer stop()
	if err := b.Open(); err != nil {
		return err
	}
	defer b.Close()
	return b.Run(ctx, b.Peers(ctx), figures())
}

// figures are the lines of the table, from top to bottom.
func figures() []program.Figure {
	return []program.Figure{start(), burst(), agentMemory(), scale(), allReduce()}
}
