package main

import (
	"context"
	_ "embed"
	"errors"
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
	"ainexus.io/bench/row"
)

// world is how many workers each launcher has.
const world = 4

// side is one way of starting workers.
type side struct {
	name string
	argv []string // what stands before the options that both launchers know
}

// with is the side's command line, but for the program, with these arguments behind it.
func (s side) with(args ...string) []string {
	return append(s.argv[1:len(s.argv):len(s.argv)], args...)
}

// ours is nexus launch.
func ours(ctx context.Context, b *program.Bench) (side, error) {
	nexus, err := b.Build(ctx, "nexus", "./cmd/nexus")
	return side{"ours", []string{nexus, "launch"}}, err
}

// worker is what launchers start.
func worker(ctx context.Context, b *program.Bench) (string, error) {
	return b.Build(ctx, "worker", "./bench/launch/worker")
}

// releases are the PyTorchs whose launcher and store are peers, in the order in which each turn takes them.
func releases() []string { return []string{"1.13", "2.6"} }

//go:embed torchrun26.py
var modernTorchrun string

// python is the command line of the Python that has a release. The error says why there is none.
func python(ctx context.Context, b *program.Bench, release string) ([]string, error) {
	if release == "1.13" {
		return []string{machine.Python}, nil
	}
	return machine.ModernPython(ctx, b.Root)
}

// torchrun is that of a release. The error says why there is none.
func torchrun(ctx context.Context, b *program.Bench, release string) (side, error) {
	interpreter, err := python(ctx, b, release)
	if err != nil {
		return side{}, err
	}
	if release == "1.13" {
		// Debian 12's dies without the two log options; rank 9 does not exist, so they do nothing.
		return side{"torchrun 1.13", append(interpreter, "-m", "torch.distributed.run", "-r", "9:1", "-t", "9:1")}, nil
	}
	script := filepath.Join(b.Dir, "torchrun26.py")
	return side{"torchrun 2.6", append(interpreter, script)}, os.WriteFile(script, []byte(modernTorchrun), 0o600)
}

// rival is a peer and the line of the table that it is measured for.
type rival struct {
	side
	line    row.Line
	samples []float64
}

// rivals are the torchruns that there are, one for each of lines, which are those of the releases. A line whose torchrun is not there
// is reported as such.
func rivals(ctx context.Context, b *program.Bench, lines []row.Line, report func(row.Row)) (all []*rival) {
	for i, release := range releases() {
		s, err := torchrun(ctx, b, release)
		if err != nil {
			report(lines[i].Missing(err))
			continue
		}
		all = append(all, &rival{side: s, line: lines[i]})
	}
	return all
}

// eachRelease makes a line for each torchrun.
func eachRelease(line func(release string) row.Line) (lines []row.Line) {
	for _, release := range releases() {
		lines = append(lines, line(release))
	}
	return lines
}

// atOnce does something for several sides at the same time: for what takes long because it waits.
func atOnce(n int, do func(i int) error) error {
	done := make(chan error, n)
	for i := range n {
		go func() { done <- do(i) }()
	}
	var wrong error
	for range n {
		wrong = errors.Join(wrong, <-done)
	}
	return wrong
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
	cmd := exec.CommandContext(ctx, s.argv[0], s.with(append([]string{"--nproc_per_node", strconv.Itoa(world)}, args...)...)...)
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
