package cli

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"ainexus.io/api"
	"ainexus.io/attempt"
	"ainexus.io/launch"
	"ainexus.io/nexus"
)

// exitNotStarted is what shells say of a command that could not be started.
const exitNotStarted = 127

func (p *program) execCommand() *cobra.Command {
	rank := 0
	cmd := &cobra.Command{
		Use: "exec JOB [--rank N] -- COMMAND [ARG...]", Short: "Run a command beside a running worker of a job",
		Long: "Runs a command beside a running worker: as its user, in the job's directory, with the worker's environment (RANK, CUDA_VISIBLE_DEVICES,\n" +
			"the job's env and secrets), within the job's limits. It has this terminal, or this standard input; Ctrl-C ends the command, not the\n" +
			"job. When the worker's round ends, so does the command. Exits with the command's exit code.",
		Example: "  nexus exec train -- nvidia-smi\n  nexus exec train --rank 3 -- py-spy dump --pid 4711\n  nexus exec train -- bash",
		Args: func(cmd *cobra.Command, args []string) error {
			switch at := cmd.ArgsLenAtDash(); {
			case len(args) == 0 || at == 0:
				return usage(cmd, "which job?")
			case at > 1:
				return usage(cmd, "one job at a time: what is %q?", args[1])
			case at < 0 && len(args) > 1:
				return &exit{code: exitUsage, err: &nexus.Error{Code: nexus.CodeInvalid, Message: "the command comes after --",
					Hint: "nexus exec " + args[0] + " -- " + args[1] + " ..."}}
			case len(args) == 1:
				return usage(cmd, "which command? nexus exec %s -- COMMAND", args[0])
			case rank < 0:
				return usage(cmd, "a rank is not negative")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if reach, cluster, err := p.cluster(); err != nil || cluster {
				if err != nil {
					return err
				}
				return p.besideInPod(cmd.Context(), reach, args[0], rank, args[1:])
			}
			client, err := p.connect(cmd.Context())
			if err != nil {
				return err
			}
			view, err := client.Job(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			worker, err := workerOf(view, rank)
			if err != nil {
				return err
			}
			return p.beside(view, worker, args[1:])
		},
	}
	cmd.Flags().IntVar(&rank, "rank", 0, "beside the worker of this rank")
	return p.oneJob(cmd)
}

// workerOf finds a running worker, or says why there is none.
func workerOf(view api.JobView, rank int) (nexus.WorkerStatus, error) {
	refuse := func(code nexus.Code, hint, format string, args ...any) (nexus.WorkerStatus, error) {
		return nexus.WorkerStatus{}, &nexus.Error{Code: code, Message: title(view.Job) + " (" + view.ID + ") " + fmt.Sprintf(format, args...), Hint: hint}
	}
	switch {
	case view.Phase.Over():
		return refuse(nexus.CodeConflict, "nexus logs "+view.ID+" shows what it said", "is over: %s", view.Phase)
	case view.Phase == nexus.Pending:
		return refuse(nexus.CodeConflict, "nexus why "+view.ID+" says why", "does not run: it waits")
	case view.Status == nil || len(view.Status.Workers) == 0:
		return refuse(nexus.CodeConflict, "try again when nexus ps says that it is Running", "has no workers yet: it is %s", view.Phase)
	}
	workers := view.Status.Workers
	for _, w := range workers {
		switch {
		case w.Rank != rank:
		case w.Exit != nil || w.Signal != "":
			return refuse(nexus.CodeConflict, "name another rank with --rank, or look at nexus logs "+view.ID+" --rank "+fmt.Sprint(rank), "goes on, but its rank %d has ended", rank)
		default:
			return w, nil
		}
	}
	first, last := workers[0].Rank, workers[len(workers)-1].Rank
	return refuse(nexus.CodeNotFound, fmt.Sprintf("--rank takes %d to %d", first, last), "has no rank %d", rank)
}

// beside runs the command and exits as it does.
func (p *program) beside(view api.JobView, worker nexus.WorkerStatus, argv []string) error {
	stdin, _ := p.in.(*os.File)
	stdout, _ := p.out.(*os.File)
	stderr, _ := p.err.(*os.File)
	b := launch.Beside{
		Attempt: attempt.Name(view.ID, view.Attempt), Worker: worker.PID, Dir: view.Workdir, Argv: argv,
		Stdin: stdin, Stdout: stdout, Stderr: stderr,
		Note: func(text string) { fmt.Fprintln(p.err, "note: "+clean(text)) },
	}
	if stdin != nil && term.IsTerminal(int(stdin.Fd())) {
		b.Term = p.getenv("TERM")
	}
	if agent, err := attempt.Dir(filepath.Dir(view.LogDir)).Agent(); err == nil {
		b.Cgroup = agent.Cgroup
	}
	return p.runBeside(b, worker.Rank, view.ID)
}

// runBeside runs the command to its end and exits as it does.
func (p *program) runBeside(b launch.Beside, rank int, job string) error {
	signals, stop := passedOn()
	defer stop()
	b.Signals = signals
	ended, err := b.Run()
	var refusal *nexus.Error
	switch {
	case errors.Is(err, launch.ErrElsewhere) && p.remote() != "":
		return &nexus.Error{Code: nexus.CodeDenied, Message: fmt.Sprintf("rank %d of %s does not run on this machine, and no command is run over the network", rank, job),
			Hint: "log in to the machine of the daemon at " + p.remote() + " and run nexus exec there"}
	case errors.Is(err, launch.ErrElsewhere):
		return &nexus.Error{Code: nexus.CodeConflict, Message: fmt.Sprintf("the process of rank %d of %s is gone, or has overwritten its environment", rank, job),
			Hint: "nexus ps tells whether the job still runs"}
	case errors.Is(err, launch.ErrWorkerGone):
		return &exit{code: 128 + int(syscall.SIGKILL), err: &nexus.Error{Message: fmt.Sprintf("rank %d of %s has ended, and the command with it", rank, job)}}
	case errors.As(err, &refusal) && refusal.Code == nexus.CodeInvalid:
		return &exit{code: exitNotStarted, err: err}
	case err != nil:
		return err
	case ended.Signal != 0:
		return &exit{code: 128 + int(ended.Signal)}
	case ended.Code != 0:
		return &exit{code: ended.Code}
	}
	return nil
}

// passedOn are the signals to this process that the command beside a worker has to get. Those that a terminal makes reach it by themselves.
func passedOn() (<-chan syscall.Signal, func()) {
	got, passed, done := make(chan os.Signal, 8), make(chan syscall.Signal), make(chan struct{})
	signal.Notify(got, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2)
	var watch sync.WaitGroup
	watch.Go(func() {
		for {
			select {
			case s := <-got:
				if (s == syscall.SIGINT || s == syscall.SIGQUIT) && inForeground() {
					continue
				}
				select {
				case passed <- s.(syscall.Signal):
				case <-done:
					return
				}
			case <-done:
				return
			}
		}
	})
	return passed, func() { signal.Stop(got); close(done); watch.Wait() }
}

// inForeground says whether the terminal signals this process's group, to which the command belongs too.
func inForeground() bool {
	tty, err := os.Open("/dev/tty")
	if err != nil {
		return false
	}
	defer tty.Close()
	group, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}
