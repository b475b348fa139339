package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"ainexus.io/api"
	"ainexus.io/bench/machine"
	"ainexus.io/bench/program"
	"ainexus.io/nexus"
	"ainexus.io/nexus/jobfile"
)

// programs are what the figures run, built once.
type programs struct{ nexus, stamp string }

// build builds nexus as it is shipped, and the worker that tells the time.
func build(ctx context.Context, b *program.Bench) (p programs, err error) {
	if p.nexus, err = b.Build(ctx, filepath.Join("bin", "nexus"), "./cmd/nexus"); err != nil {
		return p, err
	}
	p.stamp, err = b.Build(ctx, filepath.Join("bin", "stamp"), "./bench/local/stamp")
	return p, err
}

// daemon is a `nexus up` of ours on a state directory of its own.
type daemon struct {
	*api.Client
	programs
	state string
	log   *os.File
	cmd   *exec.Cmd
}

// startDaemon starts a daemon on a new state directory.
func startDaemon(ctx context.Context, b *program.Bench) (*daemon, error) {
	d, err := newDaemon(ctx, b)
	if err != nil {
		return nil, err
	}
	if err := d.up(ctx); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

// newDaemon makes a state directory for a daemon that is not started yet.
func newDaemon(ctx context.Context, b *program.Bench) (*daemon, error) {
	p, err := build(ctx, b)
	if err != nil {
		return nil, err
	}
	state, err := os.MkdirTemp(b.Dir, "state-")
	if err != nil {
		return nil, err
	}
	d := &daemon{programs: p, state: state}
	d.Client = api.NewSocketClient(d.socket())
	d.log, err = os.Create(state + ".log")
	return d, err
}

// up starts the daemon and waits until it answers.
func (d *daemon) up(ctx context.Context) error {
	// Any free port: the usual one may belong to somebody else's daemon.
	d.cmd = d.nexusCommand(ctx, "up", "--listen", "127.0.0.1:0")
	if copies, err := filepath.Glob(filepath.Join(d.state, "bin", "*", "nexus")); err == nil && len(copies) == 1 {
		d.cmd.Path = copies[0] // which is what the automatic daemon runs, and the agents
	}
	d.cmd.Stdout, d.cmd.Stderr = d.log, d.log
	if err := d.cmd.Start(); err != nil {
		return err
	}
	err := machine.Until(ctx, 20*time.Second, func() (bool, error) {
		v, err := d.Version(ctx)
		return err == nil && v.PID == d.cmd.Process.Pid, nil
	})
	if err != nil {
		return fmt.Errorf("waiting for the daemon to answer: %w; it said: %s", err, d.lastWords())
	}
	return nil
}

// nexusCommand is a command line of ours for this daemon.
func (d *daemon) nexusCommand(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, d.nexus, args...)
	cmd.Env = append(os.Environ(), "NEXUS_STATE="+d.state)
	return cmd
}

// restart ends the daemon in peace and starts it again.
func (d *daemon) restart(ctx context.Context) error {
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	machine.Reap(d.cmd)
	d.Client.Close()
	return d.up(ctx)
}

// kill is kill -9 of the daemon alone.
func (d *daemon) kill() error {
	if err := d.cmd.Process.Kill(); err != nil {
		return err
	}
	d.cmd.Wait()     // its error says that it was killed
	d.Client.Close() // its connections led to a daemon that is gone
	return nil
}

func (d *daemon) socket() string { return filepath.Join(d.state, "nexus.sock") }

// close ends the daemon and everything that was started from the programs on its state.
func (d *daemon) close() {
	if d.cmd != nil && d.cmd.Process != nil && d.cmd.ProcessState == nil {
		d.cmd.Process.Signal(syscall.SIGTERM)
		machine.Reap(d.cmd)
	}
	d.Client.Close()
	d.sweep()
	d.log.Close()
	os.RemoveAll(d.state)
}

// sweep kills the agents that are left; their keepers kill the workers and end. Who is there after that is killed too.
func (d *daemon) sweep() {
	first := d.left()
	for _, p := range first {
		keeper := slices.ContainsFunc(first, func(q machine.Process) bool { return q.PID == p.Parent })
		if !keeper {
			syscall.Kill(p.PID, syscall.SIGKILL)
		}
	}
	machine.Until(context.Background(), 10*time.Second, func() (bool, error) { return len(d.left()) == 0, nil })
	for _, p := range d.left() {
		syscall.Kill(p.PID, syscall.SIGKILL)
	}
}

// left are the living processes that run our program. It lies in a directory of this run, so nobody else's are meant.
func (d *daemon) left() []machine.Process {
	list, err := machine.Processes()
	if err != nil {
		fmt.Fprintln(d.log, "looking for what is left:", err)
	}
	return slices.DeleteFunc(list, func(p machine.Process) bool { return p.State == 'Z' || !d.runs(p) })
}

func (d *daemon) runs(p machine.Process) bool {
	exe := strings.TrimSuffix(p.Exe, " (deleted)")
	return exe == d.nexus || strings.HasPrefix(exe, d.state+"/")
}

func (d *daemon) lastWords() string {
	text, err := os.ReadFile(d.log.Name())
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-3):], " | ")
}

// spec reads a job file as `nexus submit` would.
func spec(format string, args ...any) (nexus.Spec, error) {
	s, _, err := jobfile.Parse([]byte(fmt.Sprintf(format, args...)), jobfile.Options{Name: "bench"})
	return s, err
}

// submission is a job with the environment that this program has.
func submission(b *program.Bench, s nexus.Spec) api.Submission {
	return api.Submission{Spec: s, Dir: b.Dir, Env: map[string]string{"PATH": os.Getenv("PATH"), "HOME": os.Getenv("HOME")}}
}

// await waits until a job is in a phase that is wanted.
func (d *daemon) await(ctx context.Context, id string, limit time.Duration, wanted func(api.JobView) bool) error {
	var last nexus.Phase
	err := machine.Until(ctx, limit, func() (bool, error) {
		j, err := d.Job(ctx, id)
		if err != nil {
			return false, err
		}
		last = j.Phase
		if j.Phase == nexus.Failed && j.Result != nil && !wanted(j) {
			return false, errors.New(j.Result.Message)
		}
		return wanted(j), nil
	})
	if err != nil {
		return fmt.Errorf("waiting for job %s, which is %s: %w", id, last, err)
	}
	return nil
}
