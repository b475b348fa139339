package launch

import (
	"context"
	"log/slog"
	"time"

	"ainexus.io/proc"
)

// guard sees to it that there is a keeper for as long as the attempt lives.
type guard struct {
	argv         []string
	name, cgroup string
	log          *slog.Logger
	record       func(keeper int) error // each keeper's pid, for those who look
	cancel       context.CancelFunc
	done         chan struct{}
	keeper       *proc.Keeper // the goroutine's; anybody's once done is closed
}

// keep starts a keeper and replaces it whenever it dies. The attempt is claimed by now: a keeper that outlives its
// agent kills by the attempt's name, and nobody may begin that attempt again under its eyes.
func keep(argv []string, name, cgroup string, log *slog.Logger, record func(keeper int) error) (*guard, error) {
	keeper, err := proc.StartKeeper(argv, name, cgroup)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	g := &guard{
		argv: argv, name: name, cgroup: cgroup, log: log, record: record,
		cancel: cancel, done: make(chan struct{}), keeper: keeper,
	}
	go g.watch(ctx)
	return g, nil
}

func (g *guard) watch(ctx context.Context) {
	defer close(g.done)
	pause := time.Duration(0)
	for {
		if err := g.record(g.keeper.PID()); err != nil {
			g.log.Error("the keeper cannot be recorded", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-g.keeper.Done():
		}
		g.log.Warn("the keeper died, starting another one", "pid", g.keeper.PID())
		g.keeper.Stop() // closes the pipe to the dead one
		if pause = g.replace(ctx, pause); ctx.Err() != nil {
			return
		}
	}
}

// replace starts a new keeper, however often it takes. One that dies at once is not replaced at once.
func (g *guard) replace(ctx context.Context, pause time.Duration) time.Duration {
	for {
		select {
		case <-ctx.Done():
			return pause
		case <-time.After(pause):
		}
		pause = min(max(2*pause, 50*time.Millisecond), 5*time.Second)
		keeper, err := proc.StartKeeper(g.argv, g.name, g.cgroup)
		if err == nil {
			g.keeper = keeper
			return pause
		}
		g.log.Error("no keeper can be started", "err", err)
	}
}

// stop sends the keeper away: nothing is left to keep.
func (g *guard) stop() {
	g.cancel()
	<-g.done
	g.keeper.Stop()
}
