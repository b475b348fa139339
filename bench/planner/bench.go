package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"ainexus.io/bench/program"
	"ainexus.io/cluster/sim/trace"
)

// bench is the program's, with the traces.
type bench struct {
	*program.Bench
	traces string // directory
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
		b.Say("%s: %s", name, line)
	}
	return list, nil
}
