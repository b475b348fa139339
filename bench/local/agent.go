package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"ainexus.io/api"
	"ainexus.io/attempt"
	"ainexus.io/bench/machine"
	"ainexus.io/bench/program"
	"ainexus.io/bench/row"
	"ainexus.io/nexus"
)

// settle is how long a supervisor is left alone before its memory is read: ours gives back what starting took only
// when its workers have run for a while, and what counts is what it costs beside a job.
const settle = 5 * time.Second

func agentMemory() program.Figure {
	line := row.Line{
		What: "agent + keeper memory (PSS) with 4 sleeping workers and the daemon up, against torchrun 1.13's agent",
		Unit: "MiB", Must: row.AtMostTimes("<= 1/8", 1.0/8),
	}
	return program.Figure{Name: "agent memory", Lines: []row.Line{line}, Measure: func(ctx context.Context, b *program.Bench, report func(row.Row)) error {
		var ours, theirs []float64
		for range b.Times(7) {
			t, err := torchrunMemory(ctx, b)
			if err != nil {
				return fmt.Errorf("measuring torchrun: %w", err)
			}
			o, err := ourMemory(ctx, b)
			if err != nil {
				return err
			}
			ours, theirs = append(ours, o), append(theirs, t)
		}
		report(line.Against(row.Median(ours), row.Median(theirs)))
		b.Say("%d samples each; ours %.1f to %.1f MiB", len(ours), slices.Min(ours), slices.Max(ours))
		return nil
	}}
}

// torchrunMemory starts torchrun with sleeping workers and reads its agent's memory, in MiB.
func torchrunMemory(ctx context.Context, b *program.Bench) (mib float64, err error) {
	port, err := machine.FreePort()
	if err != nil {
		return 0, err
	}
	// Debian 12's torchrun dies without the two log options; rank 9 does not exist, so they do nothing.
	cmd := exec.CommandContext(ctx, machine.Python, "-m", "torch.distributed.run", "--nproc_per_node", strconv.Itoa(world),
		"--master_port", strconv.Itoa(port), "-r", "9:1", "-t", "9:1", "--no_python", "sleep", "600")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // KILL would leave its workers behind
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer func() {
		cmd.Process.Signal(syscall.SIGTERM) // it ends its workers before itself
		machine.Reap(cmd)
	}()
	err = machine.Until(ctx, time.Minute, func() (bool, error) {
		workers, err := machine.Children(cmd.Process.Pid)
		return len(workers) == world, err
	})
	if err != nil {
		return 0, fmt.Errorf("waiting for its workers: %w", err)
	}
	return readPSS(ctx, cmd.Process.Pid)
}

// ourMemory does the same with a job of ours.
func ourMemory(ctx context.Context, b *program.Bench) (mib float64, err error) {
	d, err := startDaemon(ctx, b)
	if err != nil {
		return 0, err
	}
	defer d.close()
	// A daemon that a command started runs from the same file as its agents, and shares that memory with them. The
	// first start made the file.
	if err := d.restart(ctx); err != nil {
		return 0, err
	}
	s, err := spec("name: sleepers\nworkers: %d\nrun: sleep 600\n", world)
	if err != nil {
		return 0, err
	}
	job, err := d.Submit(ctx, submission(b, s))
	if err != nil {
		return 0, err
	}
	if err := d.await(ctx, job.ID, time.Minute, running); err != nil {
		return 0, err
	}
	agent, err := d.agent(ctx, job.ID)
	if err != nil {
		return 0, err
	}
	return readPSS(ctx, agent.PID, agent.Keeper)
}

// running says that all workers of a job are there.
func running(j api.JobView) bool {
	return j.Phase == nexus.Running && j.Status != nil && len(j.Status.Workers) == j.Spec.Workers
}

// agent reads who supervises the job's first attempt.
func (d *daemon) agent(ctx context.Context, job string) (nexus.Agent, error) {
	var agent nexus.Agent
	err := machine.Until(ctx, 10*time.Second, func() (bool, error) {
		var err error
		agent, err = attempt.At(filepath.Join(d.state, "attempts"), job, 1).Agent()
		if attempt.Missing(err) {
			return false, nil
		}
		return err == nil, err
	})
	if err == nil && (agent.PID == 0 || agent.Keeper == 0) {
		err = errors.New("the attempt's agent.json names no agent or no keeper")
	}
	return agent, err
}

// readPSS lets the processes come to rest and reads their memory, in MiB.
func readPSS(ctx context.Context, pids ...int) (float64, error) {
	select {
	case <-time.After(settle):
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	bytes, err := machine.PSS(pids...)
	return float64(bytes) / (1 << 20), err
}
