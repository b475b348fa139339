package app

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"ainexus.io/attempt"
	"ainexus.io/cluster/clustertest"
	"ainexus.io/nexus"
)

// TestPromises runs the suite of promises over this machine: real agents, real workers, the real engine.
func TestPromises(t *testing.T) {
	clustertest.Run(t, func(t *testing.T, m clustertest.Machine) clustertest.Place {
		opts := testOptions(t.TempDir())
		opts.CPUs = m.Slots
		d := startDaemon(t, opts)
		t.Cleanup(func() { endJobs(t, d) })
		return machine{t: t, d: d, dir: t.TempDir()}
	})
}

// machine is a daemon as the suite sees it. A gate is a file that workers wait for.
type machine struct {
	t   *testing.T
	d   *Daemon
	dir string
}

func (m machine) Submit(ctx context.Context, spec nexus.Spec, body clustertest.Body) (string, error) {
	line := fmt.Sprintf("exit %d", body.Exit)
	if body.Until != "" {
		line = fmt.Sprintf("while ! test -e gate-%s; do sleep 0.01; done; %s", body.Until, line)
	}
	spec.Run = nexus.Command{Shell: line}
	job, err := m.d.place.Submit(ctx, submission(m.dir, spec))
	return job.ID, err
}

func (m machine) Job(ctx context.Context, id string) (nexus.Job, error) {
	v, err := m.d.place.Job(ctx, id)
	return v.Job, err
}

func (m machine) Cancel(ctx context.Context, id string) error {
	_, err := m.d.place.Cancel(ctx, id)
	return err
}

func (m machine) Open(gate string) {
	if err := os.WriteFile(filepath.Join(m.dir, "gate-"+gate), nil, 0o600); err != nil {
		m.t.Error(err)
	}
}

func (m machine) KillAgent(ctx context.Context, id string) error {
	v, err := m.d.place.Job(ctx, id)
	if err != nil {
		return err
	}
	agent, err := attempt.At(filepath.Join(m.d.opts.State, "attempts"), id, v.Attempt).Agent()
	if err != nil {
		return err
	}
	return syscall.Kill(agent.PID, syscall.SIGKILL)
}

func (m machine) Reason(ctx context.Context, id string) (nexus.Reason, error) {
	v, err := m.d.place.Job(ctx, id)
	if err != nil || v.Reason == nil {
		return nexus.Reason{}, err
	}
	return *v.Reason, nil
}
