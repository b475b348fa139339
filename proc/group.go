package proc

import (
	"errors"
	"slices"
	"sync"
	"syscall"
	"time"
)

// Group is the processes of one attempt on this machine.
type Group struct {
	name   string
	cgroup *Cgroup // nil: none
	spawn  *spawner

	mu      sync.Mutex
	started []*Process // those not seen to have ended
	closed  bool
}

// NewGroup makes an empty group. Name is the attempt's: every process of it has NEXUS_ATTEMPT=name in its
// environment, which is up to the caller. The cgroup, nil for none, stays the caller's.
func NewGroup(name string, cgroup *Cgroup) *Group {
	return &Group{name: name, cgroup: cgroup, spawn: newSpawner()}
}

// Start starts all the commands, or returns those that it had started with the first error.
func (g *Group) Start(commands ...Command) (started []*Process, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil, errors.New("the process group is closed")
	}
	g.started = slices.DeleteFunc(g.started, func(p *Process) bool { return !p.Running() })
	g.spawn.do(func() {
		leave, enterErr := g.cgroup.enter()
		if enterErr != nil {
			err = enterErr
			return
		}
		defer leave()
		for _, c := range commands {
			p, startErr := start(c, g.cgroup)
			if startErr != nil {
				err = startErr
				return
			}
			started = append(started, p)
		}
	})
	g.started = append(g.started, started...)
	return started, err
}

// Beside starts one command of an attempt that another process supervises, and returns what gives up its thread when the
// command is done. Who dies before has the command killed.
func Beside(c Command, cgroup *Cgroup) (p *Process, release func(), err error) {
	g := NewGroup("", cgroup)
	started, err := g.Start(c)
	if err != nil {
		g.Close()
		return nil, nil, err
	}
	return started[0], g.Close, nil
}

// Kill ends every process of the attempt, whatever session it is in, and returns when none is left, or an
// error that counts the survivors at the end of timeout (a process in an uninterruptible sleep, say).
func (g *Group) Kill(timeout time.Duration) error {
	deadline := time.Now().Add(timeout)
	g.mu.Lock()
	started := slices.Clone(g.started)
	g.mu.Unlock()
	for _, p := range started {
		p.signalGroup(syscall.SIGKILL)
	}
	err := killAll(g.name, g.cgroup, timeout, false)
	for _, p := range started {
		select {
		case <-p.done:
		case <-time.After(time.Until(deadline)):
			return errors.Join(err, errors.New("a killed process does not end"))
		}
	}
	return err
}

// Close gives up the group's thread. Processes that are still there are killed by the kernel, so Kill comes first.
func (g *Group) Close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		g.closed = true
		g.spawn.stop()
	}
}
