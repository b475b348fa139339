// Local measures what one machine can do with AI-Nexus: the rows of "Figures" in docs/benchmarks.md.
//
//	go run ./bench/local [--json] [-only REGEXP] [-quick]
//
// Rows go to stdout, one JSON object per line or a table; what they were measured on, and what is going on, to stderr.
// It installs its peers, builds the program, keeps everything in a temporary directory, and leaves no process. It exits
// with 0 whenever it ran to its end: what holds and what does not is in the rows.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"syscall"
	"time"

	"ainexus.io/bench/machine"
	"ainexus.io/bench/rank"
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
	if len(args) > 0 && args[0] == rank.Verb {
		return rank.Run(args[1:])
	}
	flags := flag.NewFlagSet("local", flag.ContinueOnError)
	json := flags.Bool("json", false, "print one JSON object per line instead of a table")
	only := flags.String("only", "", "measure only the figures whose name matches this regular expression")
	quick := flags.Bool("quick", false, "take few samples, to see that it works; the figures mean little")
	if err := flags.Parse(args); err != nil {
		return err
	}
	chosen, err := regexp.Compile(*only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	b, err := newBench(*quick, os.Stderr)
	if err != nil {
		return err
	}
	defer b.close()
	return measure(ctx, b, chosen, row.NewPrinter(os.Stdout, *json))
}

func measure(ctx context.Context, b *bench, chosen *regexp.Regexp, rows *row.Printer) error {
	if err := machine.Setup(ctx, b.root, b.log); err != nil {
		b.say("%v", err) // the rows that need the peers will say what that means for them
	}
	for _, fact := range machine.Describe(ctx) {
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

// figures are the lines of the table, from top to bottom.
func figures() []figure {
	return []figure{start(), burst(), agentMemory(), scale(), allReduce()}
}
