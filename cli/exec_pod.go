package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/term"

	"ainexus.io/app"
	"ainexus.io/cluster/kube"
	"ainexus.io/launch"
	"ainexus.io/nexus"
	"ainexus.io/proc"
)

// besideInPod runs a command beside a worker of a cluster's job, and exits as it does. A terminal is the command's: what is
// typed, Ctrl-C too, goes there as it is.
func (p *program) besideInPod(ctx context.Context, reach app.Reach, job string, rank int, argv []string) error {
	client, err := app.Cluster(reach)
	if err != nil {
		return err
	}
	c := kube.Command{Rank: rank, Argv: argv, Stdin: p.in, Stdout: p.out, Stderr: p.err}
	if stdin, ok := p.in.(*os.File); ok && term.IsTerminal(int(stdin.Fd())) {
		before, err := term.MakeRaw(int(stdin.Fd()))
		if err != nil {
			return fmt.Errorf("handing the terminal over: %w", err)
		}
		defer term.Restore(int(stdin.Fd()), before) //nolint:errcheck // it is as it was, or gone
		sizes, stop := sizesOf(stdin)
		defer stop()
		c.Term, c.Sizes = p.getenv("TERM"), sizes
	}
	code, err := client.Exec(ctx, job, c)
	if err == nil && code != 0 {
		return &exit{code: code}
	}
	return err
}

// sizesOf tells what a terminal measures, and when that changes.
func sizesOf(terminal *os.File) (<-chan kube.Size, func()) {
	sizes, changed, done := make(chan kube.Size), make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(changed, syscall.SIGWINCH)
	var watch sync.WaitGroup
	watch.Go(func() {
		defer close(sizes)
		for {
			if columns, rows, err := term.GetSize(int(terminal.Fd())); err == nil {
				select {
				case sizes <- kube.Size{Columns: uint16(columns), Rows: uint16(rows)}:
				case <-done:
					return
				}
			}
			select {
			case <-changed:
			case <-done:
				return
			}
		}
	})
	return sizes, func() { signal.Stop(changed); close(done); watch.Wait() }
}

// besideHere is run in a pod by the API server's word, and finds the worker there: beside RANK TERM COMMAND...
func (p *program) besideHere(args []string) error {
	if len(args) < 3 {
		return &nexus.Error{Code: nexus.CodeInvalid, Message: "beside takes a rank, a kind of terminal and a command"}
	}
	rank, err := strconv.Atoi(args[0])
	if err != nil {
		return &nexus.Error{Code: nexus.CodeInvalid, Message: fmt.Sprintf("%q is no rank", args[0])}
	}
	attempt := p.getenv(proc.EnvAttempt)
	pid, err := launch.FindWorker(attempt, rank)
	if err != nil {
		return &nexus.Error{Code: nexus.CodeConflict, Message: fmt.Sprintf("rank %d has no process in this pod: it is not up yet, has ended, or has overwritten its environment", rank),
			Hint: "nexus ps tells whether the job still runs, nexus logs what it said"}
	}
	dir, err := os.Getwd()
	if err != nil {
		return fmt.Errorf("finding the job's directory: %w", err)
	}
	file := func(s any) *os.File { f, _ := s.(*os.File); return f }
	return p.runBeside(launch.Beside{
		Attempt: attempt, Worker: pid, Dir: dir, Argv: args[2:], Term: args[1], Stdin: file(p.in), Stdout: file(p.out), Stderr: file(p.err),
		Note: func(text string) { _, _ = io.WriteString(p.err, "note: "+clean(text)+"\n") },
	}, rank, path.Dir(attempt))
}
