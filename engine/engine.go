package engine

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"ainexus.io/nexus"
	"ainexus.io/sched"
	"ainexus.io/sched/policy"
)

// Cluster is a place where jobs run.
type Cluster interface {
	// Changes blocks until something changed since the last call, and returns it: each job and node as it
	// now stands. The first delta is Full. When the place's clock reaches until (zero: no limit) it returns
	// an empty delta; where until has passed it returns at once with whatever there is.
	Changes(ctx context.Context, until time.Time) (nexus.Delta, error)
	// Apply carries out a plan, decision by decision; one whose basis is gone is dropped. Each job that the
	// plan places or evicts comes back in a later delta, whether its decision was carried out or dropped.
	Apply(ctx context.Context, plan nexus.Plan) error
	// Now is the place's clock. It never goes back.
	Now() time.Time
}

// Observer is told of each cycle after its plan was applied. It holds up the next cycle, so it must not
// wait for anything, and it must not call the engine. What it is given is shared: read only.
type Observer interface {
	// Observe may call snapshot, but not later: the whole picture that the plan was made from, decisions
	// counted as carried out. That costs time in proportion to the jobs that wait or run.
	Observe(c nexus.Cycle, snapshot func() nexus.Snapshot)
}

// How a burst is gathered and how failures are retried.
const (
	gather     = 3 * time.Millisecond  // quiet time that ends a burst
	gatherMost = 15 * time.Millisecond // how long a steady stream of changes may delay a cycle that is short
	gatherLong = time.Second           // and any
	firstRetry = 100 * time.Millisecond
	lastRetry  = 10 * time.Second
)

// Engine runs cycles over one place.
type Engine struct {
	cluster   Cluster
	observers []Observer
	log       *slog.Logger
	policy    policy.Policy
	cycles    atomic.Uint64
	took      time.Duration // what the planner needed last, by the place's clock

	mu        sync.Mutex // guards what follows; Why reads while Run plans
	planner   *sched.Planner
	explainer *sched.Explainer // of how things stand; nil until somebody asks
	moves     uint64           // counts what makes an explanation old
	primed    bool

	explaining sync.Mutex // one explanation is made at a time, and no cycle waits for it
}

// New returns an engine that is not running yet.
func New(cluster Cluster, p policy.Policy, observers []Observer, log *slog.Logger) *Engine {
	return &Engine{
		cluster: cluster, observers: observers, log: log.With("component", "engine"),
		policy: p, planner: sched.New(p),
	}
}

// Cycles is how many times the planner was asked. An idle engine does not ask.
func (e *Engine) Cycles() uint64 { return e.cycles.Load() }

// Run turns until ctx ends, and returns its error. Failures of the place are logged and retried; after
// one, the place is asked for everything it has, if it can say so, by its next Full delta.
func (e *Engine) Run(ctx context.Context) error {
	var (
		wake  time.Time
		fresh nexus.Delta // came while the last plan was verified
		retry = firstRetry
	)
	for {
		delta, err := e.observe(ctx, fresh, wake)
		fresh = nexus.Delta{}
		if err == nil && (!delta.Empty() || due(wake, e.cluster.Now())) {
			wake, fresh, err = e.turn(ctx, delta)
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			e.log.Error("cycle failed", "error", err, "retry", retry)
			if !pause(ctx, retry) {
				return ctx.Err()
			}
			retry = min(2*retry, lastRetry)
		default:
			retry = firstRetry
		}
	}
}

// observe waits for a change and gathers what comes with it.
func (e *Engine) observe(ctx context.Context, delta nexus.Delta, wake time.Time) (nexus.Delta, error) {
	if delta.Empty() {
		d, err := e.cluster.Changes(ctx, wake)
		if err != nil || d.Empty() {
			return d, err
		}
		delta = d
	}
	for end := e.cluster.Now().Add(gatherFor(e.took)); ; {
		quiet := e.cluster.Now().Add(gather)
		if quiet.After(end) {
			return delta, nil
		}
		d, err := e.cluster.Changes(ctx, quiet)
		if err != nil || d.Empty() {
			return delta, ctx.Err() // what has come is planned; the error will come again
		}
		delta = merge(delta, d)
	}
}

// gatherFor is how long a steady stream of changes may delay a cycle, where the last one took so long: so long that plans take a
// third of a processor at most while thousands of jobs arrive. Who has to carry them out needs the rest.
func gatherFor(took time.Duration) time.Duration { return max(gatherMost, min(2*took, gatherLong)) }

// turn is one cycle over a delta. It returns when the planner wants to be woken, and what came meanwhile.
func (e *Engine) turn(ctx context.Context, delta nexus.Delta) (wake time.Time, fresh nexus.Delta, err error) {
	began := time.Now()
	plan := e.step(delta)
	if fresh, err = e.cluster.Changes(ctx, e.cluster.Now()); err != nil {
		e.refuse(plan)
		return e.cluster.Now(), fresh, err
	}
	plan, dropped := verify(plan, fresh)
	e.drop(dropped)
	if !plan.Empty() {
		if err = e.cluster.Apply(ctx, plan); err != nil {
			e.refuse(plan)
			return e.cluster.Now(), fresh, err
		}
	}
	e.tell(nexus.Cycle{
		Number: e.cycles.Load(), Delta: delta, Plan: plan, Dropped: dropped, Took: time.Since(began),
	})
	return plan.Wake, fresh, nil
}

func (e *Engine) step(delta nexus.Delta) nexus.Plan {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.moved()
	e.primed = e.primed || delta.Full
	e.cycles.Add(1)
	began := e.cluster.Now()
	plan := e.planner.Step(delta, began)
	e.took = e.cluster.Now().Sub(began)
	return plan
}

// drop tells the planner that decisions were not carried out.
func (e *Engine) drop(jobs []string) {
	if len(jobs) == 0 {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.planner.Drop(jobs...)
	e.moved()
}

// refuse tells the planner that the whole plan came to nothing.
func (e *Engine) refuse(plan nexus.Plan) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.planner.Refuse(plan)
	e.moved()
}

// moved says that what was explained is not how things stand any more.
func (e *Engine) moved() { e.explainer, e.moves = nil, e.moves+1 }

func (e *Engine) tell(c nexus.Cycle) {
	e.mu.Lock()
	defer e.mu.Unlock()
	c.Waiting = e.planner.Waiting()
	for _, o := range e.observers {
		o.Observe(c, e.planner.Snapshot)
	}
}

// Why answers why a job waits, with a fix that was tried and a date if there can be one. Errors are
// [nexus.Error].
func (e *Engine) Why(ctx context.Context, id string) (nexus.Why, error) {
	explainer, err := e.explain(ctx)
	if err != nil {
		return nexus.Why{}, err
	}
	return explainer.Why(id)
}

// Brief is Why without a fix, for whoever asks about many jobs.
func (e *Engine) Brief(ctx context.Context, id string) (nexus.Why, error) {
	explainer, err := e.explain(ctx)
	if err != nil {
		return nexus.Why{}, err
	}
	return explainer.Brief(id)
}

// Forecast is what would become of a job that is not submitted yet. Nothing follows from asking.
func (e *Engine) Forecast(ctx context.Context, job nexus.Job) (nexus.Forecast, error) {
	explainer, err := e.explain(ctx)
	if err != nil {
		return nexus.Forecast{}, err
	}
	return sched.WouldPlace(explainer.Snapshot(), e.policy, job), nil
}

// longLine is how many have to wait for a plan from scratch to cost too much memory for what it adds.
const longLine = 1000

// Line is Brief for everybody who waits, by place in line, and the time that it is as of. A short line costs a plan from
// scratch, during which cycles go on; of a long one it is told what the last cycle left, without sentences.
func (e *Engine) Line(ctx context.Context) ([]nexus.Why, time.Time, error) {
	if line, at := e.long(); line != nil {
		return line, at, nil
	}
	explainer, err := e.explain(ctx)
	if err != nil {
		return nil, time.Time{}, err
	}
	return explainer.Line(), explainer.Snapshot().At, nil
}

// long is [Engine.Line] where that is long; else nil.
func (e *Engine) long() ([]nexus.Why, time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.planner.Waiting() <= longLine {
		return nil, time.Time{}
	}
	holds := e.planner.Line()
	line := make([]nexus.Why, len(holds))
	for i, h := range holds {
		line[i] = nexus.Why{Job: h.Job, Phase: nexus.Pending, Reason: h.Reason, Position: h.Place, Expected: h.Start}
		if h.Reason.Code.InLine() {
			line[i].Start = h.Reason.Until
		}
	}
	return line, e.cluster.Now()
}

// explain is the explanation of how things stand, made when somebody first asks for it.
func (e *Engine) explain(ctx context.Context) (*sched.Explainer, error) {
	e.explaining.Lock()
	defer e.explaining.Unlock()
	known, snapshot, of, err := e.picture()
	if err != nil || known != nil {
		return known, err
	}
	made := sched.Explain(snapshot, e.policy)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.moves == of {
		e.explainer = made
	}
	return made, ctx.Err()
}

// picture is what there is to explain, unless it is explained already, and what moves it is of.
func (e *Engine) picture() (*sched.Explainer, nexus.Snapshot, uint64, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.primed {
		return nil, nexus.Snapshot{}, 0, &nexus.Error{Code: nexus.CodeUnavailable, Message: "the planner has not looked yet", Hint: "ask again in a second"}
	}
	if e.explainer != nil {
		return e.explainer, nexus.Snapshot{}, 0, nil
	}
	return nil, e.planner.Snapshot(), e.moves, nil
}

func due(wake, now time.Time) bool { return !wake.IsZero() && !now.Before(wake) }

// pause waits for d or the end of ctx, and reports whether ctx goes on.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
