package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"ainexus.io/bench/machine"
	"ainexus.io/bench/program"
	"ainexus.io/bench/rank"
)

// ranks are the processes of one side. Each reads its orders from one pipe and answers through another; pipes have
// names, because the ranks of MPI are not our children.
type ranks struct {
	side  side
	procs []*exec.Cmd
	in    []*os.File
	out   []*os.File
	lines []*bufio.Reader
	after func()
}

// start brings up all ranks of a side and waits until each is ready. After an error none is left.
func start(ctx context.Context, b *program.Bench, s side, world int) (*ranks, error) {
	r := &ranks{side: s, after: func() {}}
	if err := r.start(ctx, b, world); err != nil {
		r.stop()
		return nil, err
	}
	return r, nil
}

func (r *ranks) start(ctx context.Context, b *program.Bench, world int) error {
	dir, err := os.MkdirTemp(b.Dir, "pipes-")
	if err != nil {
		return err
	}
	for i := range world {
		in, err := pipe(dir, "in", i)
		if err != nil {
			return err
		}
		out, err := pipe(dir, "out", i)
		if err != nil {
			in.Close()
			return err
		}
		r.in, r.out, r.lines = append(r.in, in), append(r.out, out), append(r.lines, bufio.NewReader(out))
	}
	cmds, after, err := r.side.command(ctx, b, dir, world)
	if err != nil {
		return err
	}
	r.after = after
	for _, cmd := range cmds {
		cmd.Stdout, cmd.Stderr = b.Log, b.Log
		cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // mpirun then ends its ranks
		cmd.WaitDelay = machine.Patience
		if err := cmd.Start(); err != nil {
			return err
		}
		r.procs = append(r.procs, cmd)
	}
	for i := range world {
		word, err := r.answer(i, startLimit)
		if err != nil {
			return fmt.Errorf("starting rank %d: %w", i, err)
		}
		if word != "ready" {
			return fmt.Errorf("rank %d said %q and not that it is ready", i, word)
		}
	}
	return nil
}

const (
	startLimit  = 40 * time.Second // importing PyTorch takes a while on a busy machine
	answerLimit = 60 * time.Second
)

// pipe makes a named one. Opened for both ways, it does not wait for the other side.
func pipe(dir, way string, rank int) (*os.File, error) {
	path := filepath.Join(dir, way+strconv.Itoa(rank))
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		return nil, err
	}
	return os.OpenFile(path, os.O_RDWR, 0)
}

func (r *ranks) answer(rank int, limit time.Duration) (string, error) {
	r.out[rank].SetReadDeadline(time.Now().Add(limit))
	line, err := r.lines[rank].ReadString('\n')
	return strings.TrimSpace(line), err
}

// reduce gives the time of each iteration in ms: the slowest rank's.
func (r *ranks) reduce(bytes, iterations int) ([]float64, error) {
	return rank.Reduce(r.in, func(i int) (string, error) { return r.answer(i, answerLimit) }, bytes, iterations)
}

// stop asks the ranks to end, and ends those that do not.
func (r *ranks) stop() {
	for _, in := range r.in {
		fmt.Fprintln(in, 0, 0)
	}
	for _, p := range r.procs {
		machine.Reap(p, syscall.SIGTERM)
	}
	for i := range r.in {
		r.in[i].Close()
	}
	for _, out := range r.out {
		out.Close()
	}
	r.after()
}
