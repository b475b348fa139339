package local

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"ainexus.io/attempt"
	"ainexus.io/cluster/local/store"
	"ainexus.io/nexus"
	"ainexus.io/proc"
)

// maxStart is for how long an agent that is being started counts as such.
const maxStart = 5 * time.Second

// maxTries is how many agents may end without having claimed their attempt before it is given up.
const maxTries = 3

// begin starts an agent for an attempt that nobody claimed, and waits until somebody has. Where the attempt is to
// stop before it began, or was seen to run and then lost its directory, the minder claims it itself.
func (m *minder) begin(ctx context.Context, r store.Record) {
	select {
	case m.place.slots <- struct{}{}:
		// Many at once would only slow one another down; one that hangs must not hold up the others for long.
		free := sync.OnceFunc(func() { <-m.place.slots })
		defer time.AfterFunc(maxStart, free).Stop()
		defer free()
	case <-ctx.Done():
		return
	}
	if m.found {
		m.found = false
		m.greet(ctx)
		return
	}
	order := m.place.order(r)
	if err := m.dir.Create(order); err != nil {
		m.trouble = fmt.Sprintf("the attempt directory cannot be made: %v", err)
		m.place.log.Error("making an attempt directory", "job", m.id, "attempt", m.attempt, "error", err)
		m.pause(ctx, time.Second)
		return
	}
	m.place.opts.passed("prepared")
	if r, ok := m.record(); !ok || r.Job.Phase != nexus.Starting || m.tries >= maxTries {
		m.void()
		return
	}
	if m.gone == nil {
		gone, err := m.spawn(ctx)
		if err != nil {
			m.tries++
			m.trouble = err.Error()
			m.place.log.Error("starting an agent", "job", m.id, "attempt", m.attempt, "error", err)
			m.pause(ctx, time.Duration(m.tries)*200*time.Millisecond)
			return
		}
		m.gone = gone
		m.place.opts.passed("spawned")
	}
	m.place.dirs.follow(string(m.dir), m.wake)
	patience := time.NewTicker(100 * time.Millisecond)
	defer patience.Stop()
	for {
		if _, err := m.dir.Agent(); !attempt.Missing(err) {
			return
		}
		if r, ok := m.record(); !ok || r.Job.Phase != nexus.Starting {
			return
		}
		select {
		case <-m.gone:
			m.gone, m.child = nil, 0
			if _, err := m.dir.Agent(); attempt.Missing(err) {
				m.tries++
				m.trouble = "the agent ended before it began" + m.lastWords()
				m.place.log.Error("an agent ended before it began", "job", m.id, "attempt", m.attempt, "said", m.lastWords())
				m.pause(ctx, time.Duration(m.tries)*200*time.Millisecond)
			}
			return
		case <-m.poke:
		case <-patience.C:
		case <-ctx.Done():
			return
		}
	}
}

// greet looks for an agent that the last daemon started and that has not claimed the attempt yet. It is given time; what
// then still has no claim, because somebody deleted the directory under it, is ended before there is another.
func (m *minder) greet(ctx context.Context) {
	name := attempt.Name(m.id, m.attempt)
	for deadline := m.place.clock.mono() + maxStart; !proc.Empty(name, "") && ctx.Err() == nil; {
		if _, claimed, locked, err := m.look(); err == nil && (claimed || locked) {
			return
		}
		if m.place.clock.mono() > deadline {
			if err := proc.KillAttempt(name, "", maxStart); err != nil {
				m.place.log.Error("ending an agent without a claim", "job", m.id, "attempt", m.attempt, "error", err)
			}
		}
		m.pause(ctx, 50*time.Millisecond)
	}
}

// order is what the agent is told.
func (p *Place) order(r store.Record) nexus.Order {
	o := nexus.Order{
		Job: r.Job.ID, Attempt: r.Job.Attempt, User: r.Job.User, Spec: r.Job.Asks().Spec, Workdir: r.Workdir, Env: r.Env,
		RestartsLeft: handedOut(r.Job), Member: r.Job.Member, Limits: !p.opts.NoLimits, Logs: p.opts.Logs,
	}
	if r.Job.Placement != nil && len(r.Job.Placement.Seats) > 0 {
		o.Seat = r.Job.Placement.Seats[0]
	}
	return o
}

// spawn starts the agent in a session of its own, with its output in the attempt directory. Nothing of this process
// is handed on but the secrets that it asked for.
func (m *minder) spawn(ctx context.Context) (<-chan struct{}, error) {
	out, err := os.OpenFile(filepath.Join(string(m.dir), "agent.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	argv := m.place.opts.Agent
	c := exec.Command(argv[0], append(argv[1:len(argv):len(argv)], string(m.dir))...)
	// Marked as its workers are, an agent whose directory was deleted under it can still be found and ended.
	c.Env = append([]string{proc.EnvAttempt + "=" + attempt.Name(m.id, m.attempt)}, m.place.opts.AgentEnv...)
	c.Env = append(c.Env, m.place.secretsOf(m.id)...)
	c.Dir = "/"
	c.Stdout, c.Stderr = out, out
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := c.Start(); err != nil {
		return nil, err
	}
	m.child = c.Process.Pid
	gone := make(chan struct{})
	id, err := proc.Identify(c.Process.Pid)
	ended, watchErr := departure(ctx, &m.place.working, id)
	if err != nil || watchErr != nil {
		ended = nil
	}
	m.place.working.Go(func() {
		if reap(ctx, c.Process, ended) {
			close(gone)
		}
	})
	return gone, nil
}

// reap waits for our child's end and takes its remains; false when ctx ended before. The agent outlives us then.
func reap(ctx context.Context, child *os.Process, ended <-chan struct{}) bool {
	pid := child.Pid
	defer child.Release()
	pause := time.Millisecond
	for {
		var status unix.WaitStatus
		got, err := unix.Wait4(pid, &status, unix.WNOHANG, nil)
		if got == pid || err == unix.ECHILD {
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		if ended != nil {
			select {
			case <-ended:
				ended = nil
			case <-ctx.Done():
				return false
			}
			continue
		}
		rest(ctx, pause)
		pause = min(2*pause, 50*time.Millisecond)
	}
}

// void claims the attempt for nobody. When an agent was quicker, that is as well.
func (m *minder) void() {
	lock, err := m.dir.Lock()
	if err != nil {
		m.place.log.Debug("an attempt cannot be voided", "job", m.id, "attempt", m.attempt, "error", err)
		return
	}
	defer lock.Close()
	// A process that never was: no identity is alive, and no agent that comes late can claim the attempt.
	if err := m.dir.WriteAgent(nexus.Agent{}); err != nil {
		m.place.log.Error("voiding an attempt", "job", m.id, "attempt", m.attempt, "error", err)
	}
}

// lastWords is the end of the agent's output, in a clause.
func (m *minder) lastWords() string {
	file, err := os.Open(filepath.Join(string(m.dir), "agent.log"))
	if err != nil {
		return ""
	}
	defer file.Close()
	if size, err := file.Seek(0, io.SeekEnd); err == nil {
		_, _ = file.Seek(max(0, size-400), io.SeekStart)
	}
	text, _ := io.ReadAll(io.LimitReader(file, 400))
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	if last := lines[len(lines)-1]; len(last) > 0 {
		return ": " + string(last)
	}
	return ""
}

// secretsOf are the variables that carry a job's secrets to its agent.
func (p *Place) secretsOf(id string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var env []string
	for name, value := range p.secrets[id] {
		env = append(env, "NEXUS_SECRET_"+name+"="+value)
	}
	return env
}

func (p *Place) dropSecrets(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.secrets, id)
}
