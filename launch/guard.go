package launch

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"ainexus.io/proc"
)

// guard sees to it that there is a keeper for as long as the attempt lives.
type guard struct {
	cancel context.CancelFunc
	done   chan struct{}
	last   *proc.Keeper // once done is closed
}

// keep starts a keeper and replaces it whenever it dies. Claim is told each one's pid; it may refuse the first.
func keep(argv []string, attempt, cgroup string, log *slog.Logger, claim func(pid int) error) (*guard, error) {
	keeper, err := proc.StartKeeper(argv, attempt, cgroup)
	if err != nil {
		return nil, fmt.Errorf("starting the keeper: %w", err)
	}
	if err := claim(keeper.PID()); err != nil {
		keeper.Stop()
		return nil, fmt.Errorf("claiming the attempt: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	g := &guard{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(g.done)
		pause := time.Duration(0)
		for {
			g.last = keeper
			select {
			case <-ctx.Done():
				return
			case <-keeper.Done():
			}
			log.Warn("the keeper died, starting another one", "pid", keeper.PID())
			keeper.Stop() // closes the pipe to the dead one
			for {
				select {
				case <-ctx.Done():
					return
				case <-time.After(pause):
				}
				pause = min(max(2*pause, 50*time.Millisecond), 5*time.Second)
				if keeper, err = proc.StartKeeper(argv, attempt, cgroup); err == nil {
					break
				}
				log.Error("no keeper can be started", "err", err)
			}
			if err := claim(keeper.PID()); err != nil {
				log.Error("the new keeper cannot be recorded", "err", err)
			}
		}
	}()
	return g, nil
}

// stop sends the keeper away: nothing is left to keep.
func (g *guard) stop() {
	g.cancel()
	<-g.done
	g.last.Stop()
}
