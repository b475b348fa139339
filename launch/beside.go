package launch

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"ainexus.io/nexus"
	"ainexus.io/proc"
)

// Beside is a command to be run beside a living worker: as the same user, in the attempt's directory, with the worker's environment
// and in the attempt's cgroup. It is of the attempt, so whatever ends the attempt's processes ends it too.
type Beside struct {
	Attempt string // name of the attempt: <job id>/<attempt>
	Worker  int    // process id
	Cgroup  string // [proc.Cgroup.String]; empty: none
	Dir     string // absolute
	Argv    []string

	Stdin, Stdout, Stderr *os.File
	// Term is what TERM is where the worker has none; empty: there is no terminal.
	Term string
	// Signals are passed on to the command.
	Signals <-chan syscall.Signal
	// Note tells what is not as promised.
	Note func(string)
}

// ErrWorkerGone says that the worker ended, and that the command was ended with it or not let run.
var ErrWorkerGone = errors.New("the worker has ended")

// ErrElsewhere says that the worker's process is not on this machine, or not to be seen from here.
var ErrElsewhere = errors.New("there is no such worker on this machine")

// FindWorker finds the worker of a rank of an attempt among the processes of this machine, or of this pod: the one that was there
// first of those whose environment says that they are. [ErrElsewhere] says that there is none.
func FindWorker(attempt string, rank int) (pid int, err error) {
	var first proc.Identity
	for _, pid := range proc.Members(attempt, "") {
		env, err := proc.Environ(pid)
		if its, _ := valueOf(env, "RANK"); err != nil || its != strconv.Itoa(rank) {
			continue
		}
		if id, err := proc.Identify(pid); err == nil && (first.PID == 0 || id.Start < first.Start || id.Start == first.Start && pid < first.PID) {
			first = id
		}
	}
	if first.PID == 0 {
		return 0, ErrElsewhere
	}
	return first.PID, nil
}

// notForOthers are files that only the worker itself may write: a second writer would falsify its progress and its last words.
var notForOthers = []string{"NEXUS_PROGRESS_FILE", "NEXUS_ACK_FILE", "NEXUS_STACK_FILE", "TORCHELASTIC_ERROR_FILE"}

// Run runs the command to its end. [ErrWorkerGone] says that the worker ended first, and the command with it.
func (b Beside) Run() (proc.Exit, error) {
	worker, err := proc.Identify(b.Worker)
	if err != nil {
		return proc.Exit{}, ErrElsewhere
	}
	env, err := b.environ()
	if err != nil {
		return proc.Exit{}, err
	}
	search, _ := valueOf(env, "PATH")
	path, err := lookPath(b.Argv[0], b.Dir, search)
	if err == nil {
		err = checkDir(b.Dir)
	}
	if err != nil {
		return proc.Exit{}, err
	}
	user, err := proc.UserOf(b.Worker)
	if err != nil {
		return proc.Exit{}, fmt.Errorf("finding the worker's user: %w", err)
	}
	p, release, err := b.start(proc.Command{
		Path: path, Argv: b.Argv, Env: env, Dir: b.Dir, Stdin: b.Stdin, Stdout: b.Stdout, Stderr: b.Stderr, Shared: true, User: user,
	})
	if err != nil {
		return proc.Exit{}, explainStart(err, program{path: path, argv: b.Argv})
	}
	defer release()
	// From here on the command is seen by whoever looks for processes of the attempt. If the worker lives now, that look is
	// still to come; if not, it may be over, and nobody else would end the command.
	if !worker.Alive() {
		p.Signal(syscall.SIGKILL)
		<-p.Done()
		return proc.Exit{}, ErrWorkerGone
	}
	return b.wait(p, worker)
}

// start starts the command in the attempt's cgroup, or, where this process may not put anything there, beside it.
func (b Beside) start(c proc.Command) (*proc.Process, func(), error) {
	group := proc.FindCgroup(b.Cgroup)
	p, release, err := proc.Beside(c, group)
	if err == nil || group == nil {
		return p, release, err
	}
	p, release, again := proc.Beside(c, nil)
	if again != nil {
		return nil, nil, again
	}
	b.Note(fmt.Sprintf("the command is outside the job's cgroup, so that the job's limits do not hold for it: %v", err))
	return p, release, nil
}

func (b Beside) wait(p *proc.Process, worker proc.Identity) (proc.Exit, error) {
	for {
		select {
		case s := <-b.Signals:
			p.Signal(s)
		case <-p.Done():
			if p.Exit().Signal == syscall.SIGKILL && !worker.Alive() {
				return p.Exit(), ErrWorkerGone
			}
			return p.Exit(), nil
		}
	}
}

// environ is the worker's environment, or that of the program that its shell runs: an environment may be activated there.
func (b Beside) environ() ([]string, error) {
	env, err := proc.Environ(b.Worker)
	switch {
	case errors.Is(err, os.ErrPermission):
		return nil, &nexus.Error{Code: nexus.CodeDenied, Message: "the worker is another user's process", Hint: "run this as the user of the job, or as root"}
	case errors.Is(err, errors.ErrUnsupported):
		return nil, &nexus.Error{Code: nexus.CodeDenied, Message: "this system does not tell the environment of a process", Hint: "exec works on Linux"}
	case err != nil:
		return nil, ErrElsewhere
	}
	mark := proc.EnvAttempt + "=" + b.Attempt
	if !slices.Contains(env, mark) {
		return nil, ErrElsewhere
	}
	if sameProgram(proc.Program(b.Worker), shell) {
		for _, child := range proc.ChildrenOf(b.Worker) {
			if its, err := proc.Environ(child); err == nil && slices.Contains(its, mark) {
				env = its
				break
			}
		}
	}
	env = slices.DeleteFunc(env, func(line string) bool {
		key, _, _ := strings.Cut(line, "=")
		return slices.Contains(notForOthers, key)
	})
	if term, _ := valueOf(env, "TERM"); b.Term != "" && term == "" {
		env = append(env, "TERM="+b.Term)
	}
	return env, nil
}

// valueOf finds a variable of an environment.
func valueOf(env []string, key string) (value string, set bool) {
	for _, line := range env {
		if value, ok := strings.CutPrefix(line, key+"="); ok {
			return value, true
		}
	}
	return "", false
}
