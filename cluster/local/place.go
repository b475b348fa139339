package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"ainexus.io/cluster/local/store"
	"ainexus.io/gpu"
	"ainexus.io/nexus"
	"ainexus.io/proc"
)

// Devices are asked for the GPUs of this machine. A [gpu.Reader] is one.
type Devices interface {
	Sample(ctx context.Context) (gpu.Sample, error)
}

// Tally is told of what happened to jobs, to count it. It must be quick and safe for concurrent use.
type Tally interface {
	// Started is told of an attempt that got its seats after so long in line.
	Started(job nexus.Job, waited time.Duration)
	// Ended is told of an attempt that is over; charged are the restarts that the budget paid for.
	Ended(job nexus.Job, cause nexus.Cause, charged int)
}

// Options are the settings of a [Place].
type Options struct {
	// State is the state directory, absolute. It is made if it is not there.
	State string
	// Agent is the argv of the agent; the attempt directory is added as the last argument.
	Agent []string
	// AgentEnv is the whole environment of an agent, beside the secrets of its job ("NEXUS_SECRET_NAME=value").
	AgentEnv []string
	// Node is the name of this machine; default: its host name.
	Node string
	// CPUs is how many logical CPUs jobs may have between them; default: all that this process may use.
	CPUs int
	// Clock is what time it is; default: the machine's.
	Clock proc.Clock
	// Devices are the GPUs; nil: there are none.
	Devices Devices
	// NoLimits keeps agents from putting memory and CPU limits on cgroups.
	NoLimits bool
	// Logs bounds what is kept of each worker's output; zero fields: what agents do by themselves.
	Logs nexus.LogBounds
	// Starts bounds how many agents are being started at a time; default 8.
	Starts int
	// History is how many jobs that are over are kept; default 100,000. HistoryAge is for how long; default 90 days.
	History    int
	HistoryAge time.Duration
	// Silence is after how long without a sign an agent is looked at; default 30 s.
	Silence time.Duration
	// StopMargin is how long after the grace of a stop an agent that does not end is killed; default 30 s.
	StopMargin time.Duration
	// Backoff is the pause after an attempt whose agent went away, doubled each time in a row up to 5 min; default 1 s.
	Backoff time.Duration
	// Tally counts; nil: nobody does.
	Tally Tally
	// Log gets what an operator would act on; default: nothing.
	Log *slog.Logger

	// passed is told of each step between two writes, by name; the tests of this package die there.
	passed func(step string)
}

func (o Options) withDefaults() Options {
	o.Starts = cmp.Or(o.Starts, 8)
	o.History = cmp.Or(o.History, 100_000)
	o.HistoryAge = cmp.Or(o.HistoryAge, 90*24*time.Hour)
	o.Silence = cmp.Or(o.Silence, 30*time.Second)
	o.StopMargin = cmp.Or(o.StopMargin, 30*time.Second)
	o.Backoff = cmp.Or(o.Backoff, time.Second)
	if o.passed == nil {
		o.passed = func(string) {}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Place is this machine as a place where jobs run.
type Place struct {
	opts    Options
	log     *slog.Logger
	lock    *os.File
	store   *store.Store
	view    *view
	clock   *clock
	news    *news
	dirs    *dirs
	devices *devices
	lessons *lessons
	slots   chan struct{} // one per agent that is being started
	history chan struct{} // cap 1: jobs have ended since the last look

	ctx     context.Context
	cancel  context.CancelFunc
	working sync.WaitGroup
	stop    sync.Once
	stopped error

	applying sync.Mutex // one change of the queues at a time
	aged     int64      // the hour in which old history was last dropped; of forget alone

	mu      sync.Mutex
	minders map[string]*minder
	secrets map[string]map[string]string // job id -> values by name
	peaks   map[string]nexus.MiB         // attempt -> the most GPU memory seen in use on one device
}

// New takes the state directory and reads what is in it; a second daemon is refused. Nothing runs before [Place.Start].
func New(ctx context.Context, opts Options) (*Place, error) {
	opts = opts.withDefaults()
	if len(opts.Agent) == 0 {
		return nil, errors.New("no program for agents is set")
	}
	lock, err := takeState(opts.State)
	if err != nil {
		return nil, err
	}
	p := &Place{
		opts: opts, log: opts.Log.With("component", "local"), lock: lock, news: newNews(), lessons: newLessons(),
		slots: make(chan struct{}, opts.Starts), history: make(chan struct{}, 1),
		minders: map[string]*minder{}, secrets: map[string]map[string]string{}, peaks: map[string]nexus.MiB{},
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	if err := p.open(ctx); err != nil {
		p.cancel()
		return nil, errors.Join(err, p.release())
	}
	return p, nil
}

func (p *Place) open(ctx context.Context) error {
	p.clock = newClock(p.opts.Clock)
	var err error
	p.store, err = store.Open(ctx, filepath.Join(p.opts.State, "nexus.db"), store.Options{Committed: p.committed, Now: p.clock.Now})
	if err != nil {
		return err
	}
	mark, err := p.store.Mark(ctx)
	if err != nil {
		return err
	}
	p.clock.notBefore(mark)
	node, err := thisNode(p.opts.Node, p.opts.CPUs)
	if err != nil {
		return fmt.Errorf("looking at this machine: %w", err)
	}
	p.devices = newDevices(p.opts.Devices, p.clock)
	node.GPUs, _ = p.devices.settle(ctx, nil)
	counts, err := p.store.Counts(ctx)
	if err != nil {
		return err
	}
	live, err := p.store.Live(ctx)
	if err != nil {
		return err
	}
	p.view = newView(node, live, counts)
	if err := p.readQueues(ctx); err != nil {
		return err
	}
	if err := p.readLessons(ctx); err != nil {
		return err
	}
	p.dirs, err = newDirs(p.log)
	return err
}

// Start goes on with every attempt that the records say is alive. It returns at once.
func (p *Place) Start() {
	p.working.Go(func() { p.dirs.run(p.ctx) })
	for _, r := range p.view.records() {
		p.mind(r, true)
	}
	p.working.Go(func() { p.watchDevices(p.ctx) })
	p.working.Go(func() { p.forget(p.ctx) })
	p.working.Go(func() { p.keepLessons(p.ctx) })
	p.ended()
}

// Stop lets go of everything and leaves the agents alone. It may be called more than once.
func (p *Place) Stop() error {
	p.stop.Do(func() {
		p.mu.Lock() // nobody is begun after this
		p.cancel()
		p.mu.Unlock()
		p.working.Wait()
		p.stopped = p.release()
	})
	return p.stopped
}

func (p *Place) release() error {
	var errs []error
	if p.dirs != nil {
		errs = append(errs, p.dirs.close())
	}
	if p.store != nil {
		errs = append(errs, p.store.Close())
	}
	// Given back by word: a child that is about to become an agent may have the file open for an instant longer.
	errs = append(errs, unix.Flock(int(p.lock.Fd()), unix.LOCK_UN), p.lock.Close())
	return errors.Join(errs...)
}

// Now is the time of this place. It never goes back, not over restarts either.
func (p *Place) Now() time.Time { return p.clock.Now() }

// Counts tells how many jobs are in each phase.
func (p *Place) Counts() map[nexus.Phase]int { return p.view.counted() }

// Idle reports whether no job is alive or waits.
func (p *Place) Idle() bool { return p.view.size() == 0 }

// committed follows a commit: the view first, then whoever has to act or wants to know. The store calls it in order.
func (p *Place) committed(records []store.Record, events []nexus.Event) {
	p.view.follow(records)
	for _, r := range records {
		p.mind(r, false)
		if r.Job.Phase.Over() {
			p.dropSecrets(r.Job.ID)
			p.ended()
		}
	}
	if len(records) > 0 {
		p.devices.nudge()
	}
	if len(events) > 0 {
		p.news.ring()
	}
}
