package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"ainexus.io/bench/machine"
	"ainexus.io/bench/program"
)

// world is how many workers each launcher has.
const world = 4

// side is one way of starting workers.
type side struct {
	name string
	argv []string // what stands before the options that both launchers know
}

// sides are ours and torchrun's, with the worker that both start.
func sides(ctx context.Context, b *program.Bench) (ours, theirs side, worker string, err error) {
	nexus, err := b.Build(ctx, "nexus", "./cmd/nexus")
	if err != nil {
		return side{}, side{}, "", err
	}
	if worker, err = b.Build(ctx, "worker", "./bench/launch/worker"); err != nil {
		return side{}, side{}, "", err
	}
	ours = side{"ours", []string{nexus, "launch"}}
	// Debian 12's torchrun dies without the two log options; rank 9 does not exist, so they do nothing.
	theirs = side{"torchrun", []string{machine.Python, "-m", "torch.distributed.run", "-r", "9:1", "-t", "9:1"}}
	return ours, theirs, worker, nil
}

// start begins a run of the side on a port of its own.
func (s side) start(ctx context.Context, args ...string) (*exec.Cmd, error) {
	port, err := machine.FreePort()
	if err != nil {
		return nil, err
	}
	return s.begin(ctx, append([]string{"--master_port", strconv.Itoa(port)}, args...)...)
}

// begin begins a run of the side; stop ends it, workers before launcher.
func (s side) begin(ctx context.Context, args ...string) (*exec.Cmd, error) {
	argv := append(append([]string{}, s.argv...), "--nproc_per_node", strconv.Itoa(world))
	cmd := exec.CommandContext(ctx, argv[0], append(argv[1:], args...)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // KILL would leave torchrun's workers behind
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", s.name, err)
	}
	return cmd, nil
}

func stop(cmd *exec.Cmd) {
	cmd.Process.Signal(syscall.SIGTERM)
	machine.Reap(cmd)
}

// stamp is a line that a worker noted.
type stamp struct {
	what  string // its rank, or "die"
	round int
	at    time.Time
}

// stamps reads what is noted so far.
func stamps(file string) ([]stamp, error) {
	text, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	var all []stamp
	for line := range strings.Lines(string(text)) {
		var s stamp
		var ns int64
		if _, err := fmt.Sscan(line, &s.what, &s.round, &ns); err != nil {
			return nil, fmt.Errorf("reading the worker's line %q: %w", line, err)
		}
		s.at = time.Unix(0, ns)
		all = append(all, s)
	}
	return all, nil
}

// begun waits until all workers of a round have begun and gives when the last one did.
func begun(ctx context.Context, file string, round int) (last time.Time, all []stamp, err error) {
	err = machine.Until(ctx, time.Minute, func() (bool, error) {
		all, err = stamps(file)
		n := 0
		for _, s := range all {
			if s.round == round && s.what != "die" {
				n++
				if s.at.After(last) {
					last = s.at
				}
			}
		}
		return n == world, err
	})
	if err != nil {
		err = fmt.Errorf("waiting for the workers of round %d: %w", round, err)
	}
	return last, all, err
}
