package main

import (
	"fmt"
	"io"
	"os"

	"ainexus.io/bench/machine"
)

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
