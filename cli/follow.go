package cli

import (
	"context"
	"errors"
	"os"
	"strings"
	"time"

	"ainexus.io/api"
	"ainexus.io/nexus"
)

const (
	// refresh is how often a job is looked at when no event says that something changed.
	refresh = time.Second
	// retryPause is between two attempts to reach a daemon that went away.
	retryPause = 300 * time.Millisecond
	// logPatience is how long the output may take to end after the job did.
	logPatience = 5 * time.Second
)

// follower tells how one job goes until it is over: the plan, the output, restarts, why it waits, how it ended. It
// outlives the daemon: when that goes away it waits, or starts another, and goes on where it was.
type follower struct {
	client place
	other  string // who that is: "the daemon"
	screen *screen
	id     string
	// revive brings back a daemon that went away; nil: it comes back by itself.
	revive func(context.Context) error
	// onSignal is told each Ctrl-C and TERM, counted from 1; it says whether to stop following.
	signals  <-chan os.Signal
	onSignal func(n int, view api.JobView) (leave bool)

	view    api.JobView
	told    string // the last reason for waiting that was told
	planned int    // the attempt whose plan was told
	output  *output
	away    bool
}

// errLeft says that the user left and the job goes on.
var errLeft = errors.New("left")

// follow returns the job as it ended.
func (f *follower) follow(ctx context.Context) (api.JobView, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer f.screen.show("")
	events := f.watch(ctx)
	tick := time.NewTicker(refresh)
	defer tick.Stop()
	for interrupts := 0; ; {
		if err := f.look(ctx); err != nil {
			return f.view, err
		}
		if f.view.Phase.Over() {
			f.output.finish(logPatience)
			return f.view, nil
		}
		select {
		case <-ctx.Done():
			return f.view, ctx.Err()
		case e := <-events:
			f.tell(e)
		case <-f.signals:
			interrupts++
			if f.onSignal(interrupts, f.view) {
				return f.view, errLeft
			}
		case <-tick.C:
		}
	}
}

// look asks how the job stands and tells what is new about it.
func (f *follower) look(ctx context.Context) error {
	view, err := f.client.Job(ctx, f.id)
	if err != nil {
		return f.missing(ctx, err)
	}
	if f.away {
		f.away = false
		_ = f.screen.line("%s is back", f.other)
	}
	f.view = view
	if view.Placement != nil && view.Attempt != f.planned {
		f.planned, f.told = view.Attempt, ""
		nodes, err := f.client.Nodes(ctx)
		if err != nil {
			nodes = nil // the plan is worth telling without the names of models
		}
		for _, line := range planLines(view, modelsOf(nodes)) {
			_ = f.screen.line("%s", line)
		}
	}
	if text := waiting(view); text != "" && view.Sentence != f.told {
		f.told = view.Sentence
		_ = f.screen.line("%s", title(view.Job)+text)
	}
	if view.Attempt > 0 && (f.output == nil || f.output.attempt != view.Attempt) {
		f.output.finish(logPatience)
		f.output = newOutput(ctx, f.client, f.screen, view)
	}
	f.screen.show(statusLine(view))
	return nil
}

// missing waits a little where the daemon went away; any other error is the end.
func (f *follower) missing(ctx context.Context, err error) error {
	var e *nexus.Error
	if !errors.As(err, &e) || e.Code != nexus.CodeUnavailable {
		return err
	}
	if !f.away {
		f.away = true
		_ = f.screen.line("%s went away; the job does not need it; waiting for it to come back", f.other)
	}
	if f.revive != nil {
		if err := f.revive(ctx); err != nil && ctx.Err() == nil && !unavailable(err) {
			return err
		}
	}
	return nil
}

func unavailable(err error) bool {
	var e *nexus.Error
	return errors.As(err, &e) && e.Code == nexus.CodeUnavailable
}

// tell prints what an event says, where the job's own state does not say it better.
func (f *follower) tell(e nexus.Event) {
	switch e.Kind {
	case nexus.EventRound, nexus.EventNote:
		_ = f.screen.line("%s", clean(e.Message))
	case nexus.EventPhase:
		// An attempt that ended though the job did not.
		if text, ok := strings.CutPrefix(e.Message, string(nexus.Pending)+": "); ok && e.Attempt > 0 {
			if !strings.HasPrefix(text, "back in line") {
				text = "back in line: " + text
			}
			_ = f.screen.line("%s", clean(text))
		}
		if text, ok := strings.CutPrefix(e.Message, string(nexus.Stopping)+": "); ok {
			_ = f.screen.line("stopping: %s", clean(text))
		}
	}
}

// watch hands on the job's events, each once, over as many connections as it takes.
func (f *follower) watch(ctx context.Context) <-chan nexus.Event {
	events := make(chan nexus.Event)
	go func() {
		last := uint64(api.FromNow)
		for ctx.Err() == nil {
			stream, err := f.client.JobEvents(ctx, f.id, last)
			if err != nil {
				pause(ctx, retryPause)
				continue
			}
			for e := range stream {
				last = e.Seq
				select {
				case events <- e:
				case <-ctx.Done():
					return
				}
			}
			pause(ctx, retryPause)
		}
	}()
	return events
}

// pause waits, or less where ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
