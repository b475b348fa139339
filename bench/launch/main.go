// Launch measures the training runtime on one machine: the rows of "Figures" in docs/benchmarks.md that are about
// launching workers and about the store through which they meet.
//
//	go run ./bench/launch [--json] [-only REGEXP] [-quick]
//	go run ./bench/launch -soak [-soak-time 10m]     whether busy nodes are taken for lost ones
//
// Rows go to stdout, one JSON object per line or a table; what they were measured on, and what is going on, to stderr.
// It installs its peers, builds the program, keeps everything in a temporary directory, and leaves no process. It exits
// with 0 whenever it ran to its end: what holds and what does not is in the rows.
//
// Each group of rows is a figure with a file of its own, and a line in figures.
package main

import (
	"time"

	"ainexus.io/bench/program"
)

// figures are the lines of the table, from top to bottom.
func figures() []program.Figure {
	return []program.Figure{start(), memory(), restart(), join(), storeOperations(), nodeLoss()}
}

func main() { program.Main(run) }

func run(args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case storeVerb:
			return serveStore()
		case nodeVerb:
			return nodeWorker(args[1:])
		case spinVerb:
			return spin(args[1:])
		}
	}
	flags := program.NewFlags("launch")
	soaking := flags.Duration("soak-time", 10*time.Minute, "how long -soak lasts")
	soakOnly := flags.Bool("soak", false, "measure only whether busy nodes are taken for lost ones")
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
	if *soakOnly {
		return soak(ctx, b, *soaking)
	}
	return b.Run(ctx, b.Peers(ctx), figures())
}
