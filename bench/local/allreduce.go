package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"ainexus.io/bench/machine"
	"ainexus.io/bench/program"
	"ainexus.io/bench/rank"
	"ainexus.io/bench/row"
	"ainexus.io/c10d"
)

// world is how many processes reduce, and how many workers a job has here.
const world = 4

// plan says how often a size is reduced: rounds of iterations by one side, then as many by the other.
type plan struct{ bytes, rounds, iterations int }

// plans holds the sizes of the table. Each side has at least 30 iterations of each.
func plans() []plan {
	const kib, mib = 1 << 10, 1 << 20
	return []plan{
		{4 * kib, 20, 30}, {64 * kib, 20, 20}, {1 * mib, 20, 10}, {4 * mib, 15, 5}, {16 * mib, 12, 4}, {64 * mib, 11, 3},
	}
}

func (p plan) line() row.Line {
	size := fmt.Sprintf("%d KiB", p.bytes>>10)
	if p.bytes >= 1<<20 {
		size = fmt.Sprintf("%d MiB", p.bytes>>20)
	}
	return row.Line{
		What: "all-reduce of " + size + " of float32, 4 processes, against gloo",
		Unit: "ms", Must: row.AtMostTimes("<= 1.5x its time", 1.5),
	}
}

func allReduce() program.Figure {
	var lines []row.Line
	for _, p := range plans() {
		lines = append(lines, p.line())
	}
	return program.Figure{Name: "all-reduce", Lines: lines, Measure: measureAllReduce}
}

// measureAllReduce lets both sides live all the time, and work in turns. Who waits, sleeps in a read.
func measureAllReduce(ctx context.Context, b *program.Bench, report func(row.Row)) error {
	gloo, err := startGloo(ctx, b)
	if err != nil {
		return fmt.Errorf("starting gloo: %w", err)
	}
	defer gloo.stop()
	ours, err := startOurs(ctx, b)
	if err != nil {
		return fmt.Errorf("starting our ranks: %w", err)
	}
	defer ours.stop()
	for _, p := range plans() {
		var times [2][]float64
		for round := range b.Times(p.rounds) {
			first := round % 2 // by turns, so that neither side always runs in the other's wake
			for _, side := range []int{first, 1 - first} {
				t, err := []*ranks{ours, gloo}[side].reduce(p.bytes, p.iterations)
				if err != nil {
					return fmt.Errorf("%s: %w", p.line().What, err)
				}
				times[side] = append(times[side], t...)
			}
		}
		report(p.line().Against(row.Median(times[0]), row.Median(times[1])))
		b.Say("%d samples each; p95 %.3f and %.3f ms", len(times[0]), row.Percentile(times[0], 95), row.Percentile(times[1], 95))
	}
	return nil
}

// ranks are the processes of one side.
type ranks struct {
	procs []*exec.Cmd
	in    []io.WriteCloser
	out   []*bufio.Reader
	after func()
}

func startOurs(ctx context.Context, b *program.Bench) (*ranks, error) {
	server, err := c10d.Listen("127.0.0.1:0", c10d.ServerOptions{})
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		server.Close()
		return nil, err
	}
	r := &ranks{after: func() { server.Close() }}
	return r, r.start(ctx, b, func(i int) *exec.Cmd {
		return exec.CommandContext(ctx, self, rank.Verb, "-store", server.Addr().String(), "-rank", strconv.Itoa(i), "-size", strconv.Itoa(world))
	})
}

func startGloo(ctx context.Context, b *program.Bench) (*ranks, error) {
	port, err := machine.FreePort()
	if err != nil {
		return nil, err
	}
	r := &ranks{after: func() {}}
	return r, r.start(ctx, b, func(i int) *exec.Cmd {
		cmd := exec.CommandContext(ctx, machine.Python, "-c", rank.Gloo)
		cmd.Env = append(os.Environ(), "MASTER_ADDR=127.0.0.1", "MASTER_PORT="+strconv.Itoa(port), "RANK="+strconv.Itoa(i),
			"WORLD_SIZE="+strconv.Itoa(world), "OMP_NUM_THREADS=1", "GLOO_SOCKET_IFNAME=lo")
		return cmd
	})
}

// start brings up all ranks and waits until each is ready. After an error none is left.
func (r *ranks) start(ctx context.Context, b *program.Bench, command func(rank int) *exec.Cmd) error {
	err := func() error {
		for i := range world {
			cmd := command(i)
			cmd.Stderr = b.Log
			in, err := cmd.StdinPipe()
			if err != nil {
				return err
			}
			out, err := cmd.StdoutPipe()
			if err != nil {
				return err
			}
			if err := cmd.Start(); err != nil {
				return err
			}
			r.procs, r.in, r.out = append(r.procs, cmd), append(r.in, in), append(r.out, bufio.NewReader(out))
		}
		for i := range r.procs {
			if word, err := r.answer(i); err != nil || word != "ready" {
				return errors.Join(fmt.Errorf("rank %d said %q and not that it is ready", i, word), err)
			}
		}
		return nil
	}()
	if err != nil {
		r.stop()
	}
	return err
}

func (r *ranks) answer(rank int) (string, error) {
	line, err := r.out[rank].ReadString('\n')
	return strings.TrimSpace(line), err
}

// reduce gives the time of each iteration in ms: the slowest rank's.
func (r *ranks) reduce(bytes, iterations int) ([]float64, error) {
	return rank.Reduce(r.in, r.answer, bytes, iterations)
}

// stop ends the ranks: their input ends, and who does not understand is killed by the figure's context.
func (r *ranks) stop() {
	for _, in := range r.in {
		in.Close()
	}
	for _, p := range r.procs {
		machine.Reap(p)
	}
	r.after()
}
