package kubetest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// process is one program of the control plane.
type process struct {
	name string
	cmd  *exec.Cmd
	log  string
	done chan struct{} // closed when it has ended
}

// starter starts processes from one OS thread, which lives until they are stopped: where the kernel can, it ends them
// with that thread, so also with a test process that is killed.
type starter struct {
	t    testing.TB
	dir  string
	work chan func()
	list []*process
	once sync.Once
}

func newStarter(t testing.TB, dir string) *starter {
	s := &starter{t: t, dir: dir, work: make(chan func())}
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		for f := range s.work {
			f()
		}
	}()
	t.Cleanup(s.stop)
	return s
}

func (s *starter) start(program string, args ...string) *process {
	s.t.Helper()
	return s.startAs(filepath.Base(program), program, args...)
}

func (s *starter) startAs(name, program string, args ...string) *process {
	s.t.Helper()
	p := &process{name: name, log: filepath.Join(s.dir, name+".log"), done: make(chan struct{})}
	out, err := os.Create(p.log)
	if err != nil {
		s.t.Fatal(err)
	}
	defer out.Close()
	p.cmd = exec.Command(program, args...)
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = s.dir, out, out
	p.cmd.SysProcAttr = withParent()
	p.cmd.SysProcAttr.Setpgid = true
	started := make(chan error)
	s.work <- func() { started <- p.cmd.Start() }
	if err := <-started; err != nil {
		s.t.Fatalf("starting %s: %v", p.name, err)
	}
	go func() {
		_ = p.cmd.Wait() // how it ended is in its log
		close(p.done)
	}()
	s.list = append(s.list, p)
	return p
}

// stop ends all processes, the last one first. In a test that failed it shows what they said last.
func (s *starter) stop() {
	s.once.Do(func() {
		for i := len(s.list) - 1; i >= 0; i-- {
			s.list[i].stop()
		}
		close(s.work)
		if s.t.Failed() {
			for _, p := range s.list {
				s.t.Logf("the last words of %s:\n%s", p.name, p.tail())
			}
		}
	})
}

// stop kills: what they keep ends with the test too.
func (p *process) stop() {
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.done
}

func (p *process) tail() string {
	data, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return strings.Join(lines[max(0, len(lines)-12):], "\n")
}

// until waits for something that has to come, and fails where a process that it depends on ends.
func (s *starter) until(what string, ok func() error) {
	s.t.Helper()
	var last error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		for _, p := range s.list {
			select {
			case <-p.done:
				s.t.Fatalf("%s ended by itself:\n%s", p.name, p.tail())
			default:
			}
		}
		if last = ok(); last == nil {
			return
		}
	}
	s.t.Fatal(fmt.Errorf("%s did not come within %s: %w", what, patience, last))
}

// patience is how long a test waits for what must come. Loaded machines are slow.
const patience = 3 * time.Minute
