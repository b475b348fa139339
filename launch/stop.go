package launch

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"ainexus.io/attempt"
	"ainexus.io/nexus"
	"ainexus.io/proc"
	"github.com/fsnotify/fsnotify"
)

// stopRequest asks the attempt to end: TERM, grace for a checkpoint, KILL. Without grace it is KILL at once.
type stopRequest struct {
	cause nexus.Cause
	grace time.Duration
	exit  int    // what the result's exit code will be
	why   string // "cancelled", "preempted", ...
}

// orderWatch tells of stop.json as soon as it is there or changes, by notification where that works and by a look
// every second in any case.
func orderWatch(ctx context.Context, dir attempt.Dir, grace time.Duration, log *slog.Logger, tell func(stopRequest)) {
	var events chan fsnotify.Event
	if watcher, err := fsnotify.NewWatcher(); err == nil {
		defer watcher.Close()
		if watcher.Add(string(dir)) == nil {
			events = watcher.Events
		}
	}
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	var last nexus.StopOrder
	for {
		order, err := dir.Stop()
		switch {
		case err == nil && order != last:
			last = order
			tell(requested(order, grace))
		case err != nil && !attempt.Missing(err):
			log.Warn("the stop order cannot be read", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-events:
			for len(events) > 0 {
				<-events
			}
		}
	}
}

// requested reads an order. A grace of 0 means the job's own; who wants none at all asks for a nanosecond.
func requested(o nexus.StopOrder, grace time.Duration) stopRequest {
	r := stopRequest{cause: nexus.CauseCancel, exit: 130, why: "cancelled", grace: grace}
	if o.Kind == nexus.StopPreempt {
		r.cause, r.why = nexus.CausePreempt, "preempted"
	}
	if o.Kind == nexus.StopResize {
		r.cause, r.why = nexus.CauseResize, "stopped to go on with more or fewer nodes"
	}
	if o.Kind == nexus.StopShare {
		r.cause, r.exit, r.why = nexus.CauseShare, 1, "stopped for taking more GPU memory than its share (enforce: kill)"
	}
	if o.Grace != 0 {
		r.grace = time.Duration(o.Grace)
	}
	return r
}

// signalWatch is a bare launch's: INT, TERM, HUP and QUIT stop it, the second time at once; all others go to the workers.
func signalWatch(ctx context.Context, signals <-chan os.Signal, cause nexus.Cause, grace time.Duration, tell func(stopRequest), forward func(syscall.Signal)) {
	for asked := 0; ; {
		select {
		case <-ctx.Done():
			return
		case got, open := <-signals:
			s, ok := got.(syscall.Signal)
			if !open {
				return
			}
			if !ok {
				continue
			}
			if !slices.Contains(stopping(), got) {
				forward(s)
				continue
			}
			r := stopRequest{cause: cause, grace: grace, exit: 128 + int(s), why: fmt.Sprintf("stopped by %s", signalName(s))}
			if asked++; asked > 1 {
				r.grace = 0
			}
			tell(r)
		}
	}
}

// ask signals a worker's first process, or, where that is our own shell, the programs that it runs: they have to
// save, and their own children have to live until they did. A program that has ended meanwhile was none to ask.
func ask(p *proc.Process, ownShell bool, s syscall.Signal) {
	for range 10 {
		if !ownShell || !p.Running() || !sameProgram(proc.Program(p.PID), shell) {
			break
		}
		children := proc.ChildrenOf(p.PID)
		if len(children) == 0 {
			break
		}
		asked := false
		for _, pid := range children {
			asked = syscall.Kill(pid, s) == nil || asked
		}
		if asked {
			return
		}
	}
	p.Signal(s)
}

// sameProgram compares two paths after links (/bin/sh is dash, or bash).
func sameProgram(a, b string) bool {
	if a == "" {
		return false
	}
	b, err := filepath.EvalSymlinks(b)
	return err == nil && a == b
}
