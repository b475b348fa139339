package proc

import (
	"errors"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// keeperTimeout is how long a keeper tries to kill before it gives up on processes that cannot die.
const keeperTimeout = 10 * time.Minute

// goodbye is what a supervisor writes when everything is over and the keeper may go.
const goodbye = 'q'

// Keep is the whole life of a keeper process: it waits at the pipe and, at its end, kills all that is left of
// the attempt. It returns early, having done nothing, when the supervisor says goodbye. Only KILL ends it before.
func Keep(attempt, cgroup string, pipe io.Reader) error {
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGPIPE)
	Slim()
	var word [1]byte
	for {
		n, err := pipe.Read(word[:])
		if n == 1 && word[0] == goodbye {
			return nil
		}
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil {
			return KillAttempt(attempt, cgroup, keeperTimeout)
		}
	}
}

// KeeperPipe is the descriptor at which a keeper finds its pipe.
const KeeperPipe = 3

// Keeper is a supervisor's hold on its keeper process.
type Keeper struct {
	process *os.Process
	pipe    *os.File // the only write end there is
	done    chan struct{}
	once    sync.Once
}

// StartKeeper starts program argv[0] with the arguments argv[1:], attempt and cgroup. The program calls [Keep] with
// descriptor [KeeperPipe]. It leads a session of its own, so that what ends the supervisor's group spares it.
func StartKeeper(argv []string, attempt, cgroup string) (*Keeper, error) {
	if len(argv) == 0 {
		return nil, errors.New("starting the keeper: no program is named")
	}
	read, write, err := os.Pipe() // close-on-exec: no worker inherits the write end
	if err != nil {
		return nil, err
	}
	defer read.Close()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		write.Close()
		return nil, err
	}
	defer null.Close()
	process, err := os.StartProcess(argv[0], append(append([]string{}, argv...), attempt, cgroup), &os.ProcAttr{
		Dir: "/",
		// Nothing of the supervisor's environment, which might carry the mark of an attempt around it.
		Env:   []string{"GOMAXPROCS=1", "GOGC=20", "GOTRACEBACK=none"},
		Files: []*os.File{null, null, null, read},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		write.Close()
		return nil, err
	}
	k := &Keeper{process: process, pipe: write, done: make(chan struct{})}
	go func() {
		process.Wait()
		close(k.done)
	}()
	return k, nil
}

// PID is the keeper's process id.
func (k *Keeper) PID() int { return k.process.Pid }

// Done is closed when the keeper process has ended; where nobody called Stop, a new one is needed.
func (k *Keeper) Done() <-chan struct{} { return k.done }

// Stop sends the keeper away, once nothing is left to keep, and waits for it.
func (k *Keeper) Stop() {
	k.once.Do(func() {
		k.pipe.Write([]byte{goodbye})
		k.pipe.Close()
	})
	select {
	case <-k.done:
	case <-time.After(2 * time.Second):
		k.process.Kill()
		<-k.done
	}
}
