package cli

import (
	"context"
	"maps"
	"strings"
	"sync"
	"time"

	"ainexus.io/api"
)

// output prints the output of one attempt, setup's and the workers', as it comes.
type output struct {
	attempt int
	cancel  context.CancelFunc
	done    chan struct{}
}

func newOutput(ctx context.Context, client place, screen *screen, view api.JobView) *output {
	ctx, cancel := context.WithCancel(ctx)
	o := &output{attempt: view.Attempt, cancel: cancel, done: make(chan struct{})}
	var streams sync.WaitGroup
	query := api.LogQuery{Attempt: view.Attempt, Round: -1, Rank: -1, Follow: true}
	streams.Go(func() { copyLog(ctx, client, screen, view.ID, query, "") })
	if !view.Spec.Setup.IsZero() {
		setup := query
		setup.Setup = true
		streams.Go(func() { copyLog(ctx, client, screen, view.ID, setup, "[setup] ") })
	}
	go func() {
		streams.Wait()
		close(o.done)
	}()
	return o
}

// copyLog prints one stream to its end. When it breaks off it begins again and leaves out what was printed: lines of
// one rank come in the same order each time, those of several need not.
func copyLog(ctx context.Context, client place, screen *screen, id string, query api.LogQuery, prefix string) {
	printed := map[string]int{}
	for {
		skip := maps.Clone(printed)
		cut := &lines{to: func(line string) error {
			rank := rankOf(line)
			if skip[rank] > 0 {
				skip[rank]--
				return nil
			}
			printed[rank]++
			return screen.line("%s", prefix+screen.safe(line))
		}}
		err := client.Logs(ctx, id, query, cut)
		if err == nil {
			_ = cut.finish() // there is nobody else to tell
			return
		}
		if ctx.Err() != nil || !unavailable(err) {
			return
		}
		pause(ctx, retryPause)
	}
}

// rankOf is the prefix of a line, which says whose it is.
func rankOf(line string) string {
	if i := strings.Index(line, "] "); i > 0 && line[0] == '[' {
		return line[:i]
	}
	return ""
}

// finish waits for the last lines, but not for ever.
func (o *output) finish(patience time.Duration) {
	if o == nil {
		return
	}
	defer o.cancel()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-o.done:
	case <-timer.C:
		o.cancel()
		<-o.done
	}
}
