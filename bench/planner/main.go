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
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"
	"time"

	"ainexus.io/bench/machine"
	"ainexus.io/bench/row"
)

// limit is how long all figures together may take. What is not measured by then is told as such.
const limit = 11*time.Minute + 30*time.Second

func main() {
	err := run(os.Args[1:])
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) > 0 && args[0] == largeVerb {
		return large(args[1:], os.Stdout)
	}
	flags := flag.NewFlagSet("planner", flag.ContinueOnError)
	json := flags.Bool("json", false, "print one JSON object per line instead of a table")
	only := flags.String("only", "", "measure only the figures whose name matches this regular expression")
	quick := flags.Bool("quick", false, "take few samples and seeds, to see that it works; the figures mean little")
	traces := flags.String("traces", "", "directory of the public traces (default: shared/traces beside the repository)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	chosen, err := regexp.Compile(*only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if *traces == "" {
		root, err := machine.Root()
		if err != nil {
			return err
		}
		*traces = filepath.Join(root, "..", "shared", "traces")
	}
	b := &bench{traces: *traces, quick: *quick, log: os.Stderr}
	return measure(ctx, b, chosen, row.NewPrinter(os.Stdout, *json))
}

func measure(ctx context.Context, b *bench, chosen *regexp.Regexp, rows *row.Printer) error {
	for _, fact := range machine.Conditions(ctx) {
		b.say("%v", fact)
	}
	timed, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	begin := time.Now()
	for _, f := range figures() {
		if !chosen.MatchString(f.name) {
			continue
		}
		if err := b.take(timed, f, rows); err != nil {
			return err
		}
	}
	b.say("%v", machine.Load("load after"))
	b.say("took: %v", time.Since(begin).Round(time.Second))
	if err := rows.Close(); err != nil {
		return err
	}
	return context.Cause(ctx) // who interrupts it did not let it run to its end
}

// figures are the parts of the table: speed first, while the machine is cool, then what was decided.
func figures() []figure {
	return []figure{placements(), fullPlan(), largeFleet(), quality(), completion()}
}
