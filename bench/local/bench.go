package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"ainexus.io/bench/machine"
	"ainexus.io/bench/row"
)

// figure is one measurement: it owes a row for each of its lines.
type figure struct {
	name    string
	lines   []row.Line
	measure func(ctx context.Context, b *bench, report func(row.Row)) error
}

// bench is what the figures share.
type bench struct {
	root  string // the repository
	dir   string // temporary
	quick bool
	log   io.Writer
}

func newBench(quick bool, log io.Writer) (*bench, error) {
	root, err := machine.Root()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "nexus-bench-")
	if err != nil {
		return nil, err
	}
	return &bench{root: root, dir: dir, quick: quick, log: log}, nil
}

func (b *bench) close() { os.RemoveAll(b.dir) }

// say tells how it goes.
func (b *bench) say(format string, args ...any) { fmt.Fprintf(b.log, "# "+format+"\n", args...) }

// times is how often something is repeated: n, or a few where it only has to be seen to work.
func (b *bench) times(n int) int {
	if b.quick {
		return min(n, 2)
	}
	return n
}

// take measures one figure and prints a row for each of its lines, measured or not.
func (b *bench) take(ctx context.Context, f figure, rows *row.Printer) error {
	b.say("%s ...", f.name)
	begin := time.Now()
	err := rows.Owe(ctx, f.lines, func(report func(row.Row)) error { return f.measure(ctx, b, report) })
	b.say("%s took %v", f.name, time.Since(begin).Round(time.Millisecond))
	return err
}
