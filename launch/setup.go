package launch

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"time"

	"ainexus.io/nexus"
	"ainexus.io/proc"
)

// setup runs the job's setup, once per attempt. What it leaves running lives until the first round has ended.
func (a *agent) setup(ctx context.Context) ending {
	fail := func(err error) ending {
		return ending{cause: nexus.CauseSetup, rank: -1, exit: 127, message: "setup: " + words(err)}
	}
	if err := os.MkdirAll(a.dir.LogDir(0), 0o700); err != nil {
		return fail(err)
	}
	log, err := proc.OpenLog(a.dir.SetupLog(), a.logOptions())
	if err != nil {
		return fail(err)
	}
	defer log.Close()
	p := program{path: shell, argv: []string{"sh", "-ec", a.order.Spec.Setup.Shell}, shell: true}
	if a.order.Spec.Setup.Argv != nil {
		if p, err = resolve(a.order.Spec.Setup, a.order.Workdir, a.env); err != nil {
			return fail(err)
		}
	}
	tail := &proc.Tail{}
	capture, err := proc.NewCapture(proc.Sink{Log: log, Tail: tail, Live: a.screen.err, Prefix: "[setup] "})
	if err != nil {
		return fail(err)
	}
	before := a.oomCount()
	started, err := a.group.Start(proc.Command{
		Path: p.path, Argv: p.argv, Env: list(a.env), Dir: a.order.Workdir, Stdout: capture.File(), Stderr: capture.File(),
	})
	capture.Started()
	if err != nil {
		capture.Wait(0)
		return fail(explainStart(err, p))
	}
	stop := a.superviseSetup(ctx, started[0])
	if stop != nil || !started[0].Exit().OK() {
		a.endAll()
	}
	capture.Wait(200 * time.Millisecond)
	if stop != nil {
		e := a.stopped(*stop, a.clock.Mono())
		e.message += " (during setup)"
		return e
	}
	exit := started[0].Exit()
	if exit.OK() {
		return ending{ok: true}
	}
	return ending{
		cause: nexus.CauseSetup, rank: -1, exit: exitCode(exit), tail: tail.Lines(),
		message: describe("setup", exit, a.oom(before)),
	}
}

// superviseSetup waits for setup's end, its own or one that was asked for.
func (a *agent) superviseSetup(ctx context.Context, p *proc.Process) (stop *stopRequest) {
	ended, kill := ctx.Done(), time.Duration(0)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		var request stopRequest
		asked := false
		select {
		case <-p.Done():
			return stop
		case request = <-a.stops:
			asked = true
		case <-ended:
			ended, asked, request = nil, true, a.ctxEnded()
		case <-timer.C:
			request, asked = a.overtime(a.clock.Mono())
		}
		now := a.clock.Mono()
		switch {
		case asked && stop == nil: // there is nothing to save yet
			stop, kill = &request, now+min(request.grace, failureGrace)
			ask(p, true, syscall.SIGTERM)
		case stop != nil && now >= kill:
			a.endAll()
		}
		timer.Reset(look / 10)
	}
}

// pause waits between rounds. It returns true where a stop ended it for good.
func (a *agent) pause(ctx context.Context, wait time.Duration, last ending) (ending, bool) {
	a.board.set(func(s *nexus.Status) { s.State, s.Workers = nexus.AgentBackoff, nil })
	until := a.clock.Mono() + wait
	for {
		left := until - a.clock.Mono()
		if left <= 0 {
			return ending{}, false
		}
		var request stopRequest
		over := false
		select {
		case request = <-a.stops:
			over = true
		case <-ctx.Done():
			request, over = a.ctxEnded(), true
		case <-time.After(min(left, look)):
			request, over = a.overtime(a.clock.Mono())
		}
		if over {
			e := a.stopped(request, a.clock.Mono())
			e.message += fmt.Sprintf(" (while it waited to restart after: %s)", last.message)
			return e, true
		}
	}
}
