package proc

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// Command is a process to be started.
type Command struct {
	Path   string   // of the program, resolved
	Argv   []string // with the program's name first
	Env    []string // all of it
	Dir    string
	Stdin  *os.File // nil: empty
	Stdout *os.File // nil: /dev/null
	Stderr *os.File // nil: /dev/null
	CPUs   []int    // logical CPUs that it may run on, where the system can say so; nil: all
	// Shared leaves the process in the caller's session and process group, with the caller's terminal.
	Shared bool
	User   *syscall.Credential // nil: the caller's
}

// attr is how the process is to be started in a cgroup, nil for none.
func (c Command) attr(group *Cgroup) (attr *syscall.SysProcAttr, release func(), err error) {
	attr, release, err = sysProcAttr(group)
	if err == nil {
		attr.Setsid, attr.Credential = !c.Shared, c.User
	}
	return attr, release, err
}

// Exit is how a process ended.
type Exit struct {
	Code   int            // exit code; -1 where a signal ended it
	Signal syscall.Signal // 0 where it exited by itself
	At     time.Time      // when that was noticed, with a monotonic reading
}

// OK reports whether the process exited with code 0.
func (e Exit) OK() bool { return e.Code == 0 && e.Signal == 0 }

// Process is a started process, which leads a session and a process group of its own unless its Command is Shared.
type Process struct {
	PID  int
	done chan struct{}
	exit Exit // once done is closed

	mu     sync.Mutex
	reaped bool // the pid may belong to somebody else now
}

// Done is closed when the process has ended and was reaped. What it left behind may live on.
func (p *Process) Done() <-chan struct{} { return p.done }

// Exit tells how the process ended; valid once Done is closed.
func (p *Process) Exit() Exit { return p.exit }

// Running reports whether the process has not ended yet.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Signal sends a signal to the process itself, not to its children. One that has ended is left alone.
func (p *Process) Signal(s syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reaped {
		return nil
	}
	return syscall.Kill(p.PID, s)
}

// signalGroup sends a signal to the process and its process group.
func (p *Process) signalGroup(s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		syscall.Kill(-p.PID, s)
	}
}

// wait reaps the process. Its pid stays ours until then, so no signal can reach a stranger.
func (p *Process) wait(handle *os.Process) {
	state, err := handle.Wait()
	p.mu.Lock()
	p.reaped = true
	p.mu.Unlock()
	p.exit = Exit{Code: -1, At: time.Now()}
	if err == nil {
		status := state.Sys().(syscall.WaitStatus)
		p.exit.Code = status.ExitStatus()
		if status.Signaled() {
			p.exit.Signal = status.Signal()
		}
	}
	close(p.done)
}

// spawner starts processes from one OS thread. Its end would be the end of its children, so it lives until
// the group is closed.
type spawner struct {
	work chan func()
	gone chan struct{}
}

func newSpawner() *spawner {
	s := &spawner{work: make(chan func()), gone: make(chan struct{})}
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		defer close(s.gone)
		for f := range s.work {
			f()
		}
	}()
	return s
}

// do runs f on the thread and waits for it.
func (s *spawner) do(f func()) {
	done := make(chan struct{})
	s.work <- func() { defer close(done); f() }
	<-done
}

func (s *spawner) stop() {
	close(s.work)
	<-s.gone
}

// start is called on the spawner's thread.
func start(c Command, group *Cgroup) (*Process, error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	files := []*os.File{c.Stdin, c.Stdout, c.Stderr}
	for i, f := range files {
		if f == nil {
			files[i] = null
		}
	}
	restore, err := narrow(c.CPUs)
	if err != nil {
		return nil, fmt.Errorf("binding %s to its CPUs: %w", c.Path, err)
	}
	handle, err := startIn(group, c, files)
	restore()
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", c.Path, err)
	}
	p := &Process{PID: handle.Pid, done: make(chan struct{})}
	go p.wait(handle)
	return p, nil
}

// startIn starts a process right in the cgroup, or, where the kernel or a container's filter knows no such start, moves
// it there at once.
func startIn(group *Cgroup, c Command, files []*os.File) (*os.Process, error) {
	attr, release, err := c.attr(group)
	if err != nil {
		return nil, err
	}
	defer release()
	handle, err := os.StartProcess(c.Path, c.Argv, &os.ProcAttr{Dir: c.Dir, Env: c.Env, Files: files, Sys: attr})
	if err == nil || !group.mayBeToBlame(err) {
		return handle, err
	}
	attr, _, _ = c.attr(nil)
	handle, err = os.StartProcess(c.Path, c.Argv, &os.ProcAttr{Dir: c.Dir, Env: c.Env, Files: files, Sys: attr})
	if err != nil {
		return nil, err
	}
	if err := group.take(handle.Pid); err != nil {
		handle.Kill()
		handle.Wait()
		return nil, fmt.Errorf("moving it into its cgroup: %w", err)
	}
	return handle, nil
}
