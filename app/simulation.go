package app

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"ainexus.io/cluster/sim"
	"ainexus.io/engine"
	"ainexus.io/nexus"
	"ainexus.io/sched/policy"
)

// Simulation are the settings that every kind of simulated run has.
type Simulation struct {
	// Policy is the name of a policy. Default: ours.
	Policy string
	// Seed decides what is random: the order of arrivals, the failures of nodes.
	Seed int64
	// Progress is told how much of the work is done, now and then. Default: nobody is.
	Progress func(done, total int)
}

// knowledge is what a policy is told before a run.
type knowledge struct {
	mix      []nexus.Spec                   // everything that will be asked for; nil: it has to learn
	duration func(job string) time.Duration // how long each job will run: for oracles only
	moves    int                            // running jobs that may be moved, per thousand that arrive
	slicing  bool                           // equals may be evicted, as a queue with time_slicing allows
}

// choose finds a policy and tells it what it may know. It refuses what the policy cannot do.
func choose(name string, k knowledge) (policy.Policy, error) {
	p, err := policy.Named(name)
	if err != nil {
		return p, err
	}
	name = cmp.Or(name, policy.Ours)
	switch {
	case k.moves > 0 && name != policy.Ours:
		return p, &nexus.Error{Code: nexus.CodeInvalid, Message: "the policy " + name + " moves no running jobs", Hint: "leave --moves out"}
	case k.slicing && name != policy.Ours:
		return p, &nexus.Error{Code: nexus.CodeInvalid, Message: "the policy " + name + " has no time slicing", Hint: "leave --time-slicing out"}
	}
	if k.mix != nil {
		p.Mix = mixOf(k.mix)
	}
	for _, d := range policy.Known() {
		if d.Name == name && d.Oracle {
			p.Whole = k.duration
		}
	}
	p.Slicing, p.Moves = k.slicing, k.moves
	return p, nil
}

// mixOf counts what all jobs ask for.
func mixOf(specs []nexus.Spec) []nexus.Wanted {
	counts := map[nexus.Wanted]int64{}
	for i := range specs {
		counts[policy.WantedBy(&specs[i])]++
	}
	var mix []nexus.Wanted
	for w, n := range counts {
		w.Count = n
		mix = append(mix, w)
	}
	slices.SortFunc(mix, func(a, b nexus.Wanted) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)))
	})
	return mix
}

// watcher counts what an engine over an imagined place does.
type watcher struct {
	mu     sync.Mutex
	placed int
	cycles int
	took   time.Duration
	holds  map[string]nexus.Reason // last told, of the jobs that wait
	held   func(h nexus.Hold)
	// finished is closed when all is done: the engine may turn on a little, which is nobody's business.
	finished chan struct{}
}

// Observe counts a cycle.
func (w *watcher) Observe(c nexus.Cycle, _ func() nexus.Snapshot) {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-w.finished:
		return
	default:
	}
	w.cycles++
	w.placed += len(c.Plan.Place)
	w.took += c.Took
	for _, p := range c.Plan.Place {
		delete(w.holds, p.Job)
	}
	for _, h := range c.Plan.Hold {
		w.holds[h.Job] = h.Reason
		if w.held != nil {
			w.held(h)
		}
	}
}

// turn runs an engine over a place until the watcher's finished is closed or nothing is left to happen. The place must
// have something to do already.
func turn(ctx context.Context, place *sim.Sim, p policy.Policy, w *watcher) error {
	w.holds = map[string]nexus.Reason{}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var both sync.WaitGroup
	settled, ended := make(chan error, 1), make(chan error, 1)
	both.Go(func() {
		ended <- engine.New(place, p, []engine.Observer{w}, slog.New(slog.DiscardHandler)).Run(ctx)
	})
	both.Go(func() { settled <- place.Settle(ctx) })
	var err error
	select {
	case err = <-ended:
	case err = <-settled:
	case <-w.finished:
	}
	cancel()
	both.Wait()
	if broken := place.Violations(); len(broken) > 0 {
		return &nexus.Error{Code: nexus.CodeInternal, Message: fmt.Sprintf("the planner broke %d promises, the first: %s", len(broken), broken[0])}
	}
	return err
}

// progress tells how much is done, at most a hundred times.
func (o Simulation) progress(total int) func(done int) {
	if o.Progress == nil || total == 0 {
		return func(int) {}
	}
	last := -1
	return func(done int) {
		if step := done * 100 / total; step != last {
			last = step
			o.Progress(done, total)
		}
	}
}
