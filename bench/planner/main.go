// Planner measures how good the planner's decisions are and how fast it makes them: the rows of "The planner" in
// docs/benchmarks.md.
//
//	go run ./bench/planner [--json] [-only REGEXP] [-quick] [-traces DIR]
//
// Rows go to stdout, one JSON object per line or a table; what they were measured on, and what is going on, to stderr.
// Its peers are published figures and the planner itself; it installs nothing and needs no network. It exits with 0
// whenever it ran to its end: what holds and what does not is in the rows.
package main

import (
	"os"
	"path/filepath"

	"ainexus.io/bench/machine"
	"ainexus.io/bench/program"
)

func main() { program.Main(run) }

func run(args []string) error {
	if len(args) > 0 && args[0] == largeVerb {
		return large(args[1:], os.Stdout)
	}
	flags := program.NewFlags("planner")
	flags.Explain("quick", "take few samples and seeds, to see that it works; the figures mean little")
	traces := flags.String("traces", "", "directory of the public traces (default: shared/traces beside the repository)")
	b, err := flags.Parse(args)
	if err != nil {
		return err
	}
	ctx, stop := program.Interruptible()
	defer stop()
	if *traces == "" {
		root, err := machine.Root()
		if err != nil {
			return err
		}
		*traces = filepath.Join(root, "..", "shared", "traces")
	}
	return b.Run(ctx, machine.Conditions(ctx), figures(*traces))
}

// figures are the parts of the table: speed first, while the machine is cool, then what was decided.
func figures(traces string) []program.Figure {
	return []program.Figure{placements(traces), fullPlan(), largeFleet(), quality(traces), completion(traces)}
}
