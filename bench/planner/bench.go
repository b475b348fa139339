package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"ainexus.io/bench/row"
	"ainexus.io/cluster/sim/trace"
)

// figure is one measurement: it owes a row for each of its lines.
type figure struct {
	name    string
	lines   []row.Line
	measure func(ctx context.Context, b *bench, report func(row.Row)) error
}

// bench is what the figures share.
type bench struct {
	traces string // directory
	quick  bool
	log    io.Writer
}

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

// oneCore lets the program have one core, its garbage collector too, until the function it returns is called.
func oneCore() (back func()) {
	runtime.GC() // what figures before it left behind is not this one's work
	before := runtime.GOMAXPROCS(1)
	return func() { runtime.GOMAXPROCS(before) }
}

var errAbsent = errors.New("traces absent")

// read reads a list of the traces.
func read[T any](b *bench, name string, reader func(io.Reader) ([]T, trace.Report, error)) ([]T, error) {
	path := filepath.Join(b.traces, name)
	file, err := os.Open(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, errAbsent
	case err != nil:
		return nil, err
	}
	defer file.Close()
	list, report, err := reader(file)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	for _, line := range report.Lines() {
		b.say("%s: %s", name, line)
	}
	return list, nil
}
