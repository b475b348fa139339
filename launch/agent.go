package launch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"syscall"
	"time"

	"ainexus.io/attempt"
	"ainexus.io/c10d"
	"ainexus.io/launch/elastic"
	"ainexus.io/launch/rendezvous"
	"ainexus.io/nexus"
	"ainexus.io/proc"
)

// agent supervises one attempt on this node. Its fields are set before it runs; one goroutine runs it.
type agent struct {
	order  nexus.Order
	name   string // of the attempt
	dir    attempt.Dir
	bare   bool // a bare launch: nobody reads the records
	master struct {
		addr string
		port int // 0: 29500 if free, else any
	}
	meet           Meet
	role, runID    string
	logDir         string
	kept           string // directory for the logs of an ordered launch, which outlives its pod; empty: none
	redirects, tee Std
	shown          []int // local ranks; nil: all
	linePrefix     string
	binding        Binding
	storeLimits    c10d.Limits // of the store
	screen         screen

	keeper    []string
	secrets   map[string]string
	clock     proc.Clock
	backoff   elastic.Backoff
	logSize   int64 // see proc.LogOptions
	logFiles  int
	look      time.Duration // 0: the usual
	lossy     sync.Once     // told that logs are incomplete
	grace     time.Duration // from a stop to the kill
	signalled nexus.Cause   // what a signal that stops a bare launch means
	log       *slog.Logger

	began     time.Duration // Mono
	env       map[string]string
	cgroup    *proc.Cgroup
	container *proc.Cgroup // of the container that an ordered launch is alone in; nil: none
	group     *proc.Group
	board     *board
	place     place
	store     *c10d.Server
	meeting   *rendezvous.Meeting // of several nodes
	leaving   *stopRequest        // where this node is to go
	finished  *finished
	ended     ending // of the round endedIn, the last one here, where there is a meeting
	endedIn   int
	rounds    nexus.Rounds
	stops     chan stopRequest
	forward   chan syscall.Signal
}

// Agent runs the attempt that dir holds the order of and returns when no process of it is left and the result is
// written. It fails with [attempt.ErrLocked] or [attempt.ErrClaimed] where the attempt is somebody else's, and with
// another error where the directory cannot be used; then there is no result. When ctx ends, the attempt is stopped
// with the checkpoint's grace, for the cause node.
func Agent(ctx context.Context, dir attempt.Dir, opts AgentOptions) error {
	lock, err := lockPatiently(ctx, dir)
	if err != nil {
		return err
	}
	defer lock.Close()
	order, err := dir.Order()
	if err != nil {
		return fmt.Errorf("reading the order: %w", err)
	}
	a := &agent{
		order: order, dir: dir, keeper: opts.Keeper, secrets: opts.Secrets, look: opts.Look, role: "default",
		clock: opts.Clock.OrSystem(), backoff: opts.Backoff, log: opts.Logger, grace: graceOf(order.Spec),
	}
	if a.backoff == (elastic.Backoff{}) {
		a.backoff = elastic.DefaultBackoff()
	}
	a.runID = order.Job
	a.logSize, a.logFiles = order.Logs.Size, order.Logs.Files
	result, err := a.run(ctx)
	if err != nil {
		return err
	}
	return dir.WriteResult(result)
}

func graceOf(spec nexus.Spec) time.Duration {
	if spec.Checkpoint != nil && spec.Checkpoint.Grace > 0 {
		return time.Duration(spec.Checkpoint.Grace)
	}
	return defaultGrace
}

// lockPatiently takes the lock; whoever only asks whether it is free holds it for an instant too.
func lockPatiently(ctx context.Context, dir attempt.Dir) (*os.File, error) {
	for deadline := time.Now().Add(2 * time.Second); ; {
		lock, err := dir.Lock()
		if !errors.Is(err, attempt.ErrLocked) || time.Now().After(deadline) {
			return lock, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// run is an attempt from its claim to its end. An error means that it was not claimed.
func (a *agent) run(ctx context.Context) (nexus.Result, error) {
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	a.name = attempt.Name(a.order.Job, a.order.Attempt)
	a.log = a.log.With("component", "launch", "job", a.order.Job, "attempt", a.order.Attempt)
	a.began = a.clock.Mono()
	if a.stops == nil {
		a.stops, a.forward = make(chan stopRequest, 16), make(chan syscall.Signal, 16)
	}
	a.rounds = nexus.Rounds{RestartsLeft: a.order.RestartsLeft}

	var notes []string
	a.cgroup, notes = proc.NewCgroup(a.name, a.limits())
	if err := a.claim(0); err != nil {
		a.cgroup.Remove()
		return nexus.Result{}, fmt.Errorf("claiming the attempt: %w", err)
	}
	guard, err := keep(a.keeper, a.name, a.cgroup.String(), a.log, a.claim)
	if err != nil {
		a.cgroup.Remove()
		return a.result(ending{cause: nexus.CauseSetup, rank: -1, exit: 1, message: words(fmt.Errorf("starting the keeper: %w", err))}, 0), nil
	}
	a.board = newBoard(a.dir, a.bare, a.clock, a.log)
	a.board.set(func(s *nexus.Status) { s.State, s.Notes = nexus.AgentSetup, notes })
	a.group = proc.NewGroup(a.name, a.cgroup)

	watching, stopWatching := context.WithCancel(context.Background())
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		if !a.bare {
			orderWatch(watching, a.dir, a.grace, a.log, a.tellStop)
		}
	}()
	result := a.attempt(ctx)
	result.PeakMemory = nexus.MiB(a.counting().PeakMemory() >> 20)
	stopWatching()
	<-watched

	a.endAll()
	if a.store != nil {
		a.store.Close()
	}
	a.group.Close()
	guard.stop()
	a.cgroup.Remove()
	a.board.set(func(s *nexus.Status) { s.State = nexus.AgentDone })
	a.board.close()
	return result, nil
}

// limits are what the order wants a cgroup to hold. A job with GPUs that asked for no more than the default of one
// CPU per worker is not held to it: that is what it reserves, and its loaders would be starved.
func (a *agent) limits() proc.Limits {
	if !a.order.Limits {
		return proc.Limits{}
	}
	l := proc.Limits{Memory: int64(a.order.Seat.Memory) << 20, CPU: int64(a.order.Seat.CPU)}
	if spec := a.order.Spec; len(a.order.Seat.GPUs) > 0 && spec.Resources.CPU <= 1000*nexus.CPU(a.order.Seat.Workers) {
		l.CPU = 0
	}
	return l
}

// claim records who runs the attempt, with the keeper of the moment; 0 before there is one.
func (a *agent) claim(keeper int) error {
	if a.bare {
		return nil
	}
	self, err := proc.Identify(os.Getpid())
	if err != nil {
		return err
	}
	return a.dir.WriteAgent(nexus.Agent{
		Boot: self.Boot, PID: self.PID, Start: self.Start, Keeper: keeper, Cgroup: a.cgroup.String(),
	})
}

// tellStop hands a request to whatever the agent is doing. More than a few at once say nothing new.
func (a *agent) tellStop(r stopRequest) {
	select {
	case a.stops <- r:
	default:
	}
}

// endAll leaves no process of the attempt. It does not give up: an attempt with a process is not over.
func (a *agent) endAll() {
	for {
		err := a.group.Kill(30 * time.Second)
		if err == nil {
			return
		}
		a.log.Error("killing what is left", "err", err)
		a.board.note("a killed process does not end; the attempt waits for it")
	}
}

// attempt is setup and rounds.
func (a *agent) attempt(ctx context.Context) nexus.Result {
	base, err := baseEnv(a.order, a.secrets)
	if err == nil {
		err = checkDir(a.order.Workdir)
	}
	if err != nil {
		return a.result(ending{cause: nexus.CauseSetup, rank: -1, exit: 1, message: words(err)}, 0)
	}
	a.env = seatEnv(a.order, base, a.bare)
	if _, set := a.env[ompThreads]; !set && !a.bare { // a bare launch's caller has said it by now
		if text := sharedThreads(a.order.Seat); text != "" {
			a.board.note(text)
		}
	}
	if !a.order.Spec.Setup.IsZero() {
		if e := a.setup(ctx); !e.ok {
			return a.result(e, 0)
		}
	}
	if a.meet.Endpoint != "" {
		return a.together(ctx)
	}
	state := elastic.State{RestartsLeft: a.order.RestartsLeft}
	for {
		if err := a.record(state); err != nil {
			return a.result(ending{cause: nexus.CauseSetup, rank: -1, exit: 1, message: words(fmt.Errorf("recording round %d: %w", state.Round, err))}, state.Round)
		}
		e := a.round(ctx, state.Round)
		a.closeRound(e)
		d := elastic.Decide(state, elastic.Ending{OK: e.ok, Cause: e.cause, Lasted: e.lasted}, a.order.Spec.Restart, a.backoff)
		if !d.Again {
			if d.Because != "" {
				e.message += "; " + d.Because
			}
			return a.result(e, state.Round)
		}
		begins := "now"
		if d.Wait > 0 {
			begins = "in " + about(d.Wait)
		}
		a.say(fmt.Sprintf("%s; round %d begins %s, %s left after it", e.message, d.Next.Round, begins, times(d.Next.RestartsLeft, "restart", "restarts")))
		a.screen.fault(e, state.Round)
		if stopped, ok := a.pause(ctx, d.Wait, e); ok {
			return a.result(stopped, state.Round)
		}
		state = d.Next
	}
}

// say tells who watches.
func (a *agent) say(text string) {
	a.log.Info("round", "message", text)
	a.screen.say(text)
}

// record writes the round durably before it begins: from then on it is paid for.
func (a *agent) record(s elastic.State) error {
	a.rounds.RestartsLeft = s.RestartsLeft
	a.rounds.Rounds = append(a.rounds.Rounds, nexus.Round{Number: s.Round, Began: a.clock.Wall()})
	if a.bare {
		return nil
	}
	return a.dir.WriteRounds(a.rounds)
}

// closeRound adds to the record how the round ended.
func (a *agent) closeRound(e ending) {
	last := &a.rounds.Rounds[len(a.rounds.Rounds)-1]
	last.Cause, last.Ending = e.cause, e.message
	if a.bare {
		return
	}
	if err := a.dir.WriteRounds(a.rounds); err != nil {
		a.log.Error("the record of the rounds cannot be written", "err", err)
	}
}

// result is the attempt's last word.
func (a *agent) result(e ending, round int) nexus.Result {
	return nexus.Result{
		Attempt: a.order.Attempt, OK: e.ok, Cause: e.cause, Rank: e.rank, Exit: e.exit, Message: e.message, Tail: e.tail, Fault: e.fault,
		Ended: a.clock.Wall(), Round: round, Charged: a.order.RestartsLeft - a.rounds.RestartsLeft,
		Ack: e.ack, LostSeconds: e.lost, OutOf: e.outOf,
	}
}
