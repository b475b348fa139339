package sim

import (
	"cmp"
	"container/heap"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"ainexus.io/nexus"
	"ainexus.io/sched/policy"
)

// Sim is the place. Its methods may be called at any time from anywhere.
type Sim struct {
	options Options

	mu  sync.Mutex
	now time.Time
	// instant is when what is done to the place now happens. The clock runs a little ahead of it while the
	// engine gathers a burst: that costs the jobs nothing.
	instant   time.Time
	version   uint64
	learner   policy.Learner
	submitted time.Time // of the last job that came
	nodes     map[string]nexus.Node
	books     map[string]*book // by node, of what lives there
	jobs      map[string]*imagined
	gates     map[string]bool // open ones
	events    events
	serial    int

	told       bool // the first, full delta was given
	news       bool // there is something in the dirty sets that the engine is not to wait for
	dirtyJobs  map[string]bool
	dirtyNodes map[string]bool
	wake       chan struct{} // somebody waits in Changes; holds one token at most
	idle       chan struct{} // closed while Changes waits and nothing is left to come
	resting    bool
	violations []string
}

// gathering is how far the clock may run ahead of the instant: more than an engine gathers for.
const gathering = 20 * time.Millisecond

// New returns a place with these nodes whose clock shows start.
func New(start time.Time, nodes ...nexus.Node) *Sim { return NewWith(start, Options{}, nodes...) }

// NewWith is [New] with options.
func NewWith(start time.Time, o Options, nodes ...nexus.Node) *Sim {
	s := &Sim{
		options: o, now: start, instant: start,
		nodes: map[string]nexus.Node{}, books: map[string]*book{}, jobs: map[string]*imagined{}, gates: map[string]bool{},
		dirtyJobs: map[string]bool{}, dirtyNodes: map[string]bool{},
		wake: make(chan struct{}, 1), idle: make(chan struct{}),
	}
	for _, n := range nodes {
		s.nodes[n.Name] = n
	}
	s.failFrom(nodes)
	return s
}

// Now is the imagined time.
func (s *Sim) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// At has f called when the clock reaches t; at once where that has passed. f may call the place's methods.
func (s *Sim) At(t time.Time, f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at(t, func() {
		s.mu.Unlock()
		defer s.mu.Lock()
		f()
	})
	s.stir()
}

// Changes returns what changed. Where nothing has, it takes the next event and lets the clock jump there,
// but not beyond until.
func (s *Sim) Changes(ctx context.Context, until time.Time) (nexus.Delta, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if s.news || !s.told {
			if d := s.delta(); !d.Empty() {
				return d, ctx.Err()
			}
		}
		if err := ctx.Err(); err != nil {
			return nexus.Delta{}, err
		}
		switch {
		case len(s.events) > 0 && (until.IsZero() || !s.events[0].at.After(until)):
			e := heap.Pop(&s.events).(event)
			if e.at.After(s.instant) {
				s.instant = e.at
			}
			if e.at.After(s.now) {
				s.now = e.at
			}
			e.do()
		case !until.IsZero():
			if until.After(s.now) {
				s.now = until
			}
			if s.now.Sub(s.instant) > gathering {
				s.instant = s.now
			}
			return s.delta(), nil
		case len(s.dirtyJobs)+len(s.dirtyNodes) > 0:
			s.news = true // nothing else will come for which they could wait
		default:
			s.rest(ctx)
		}
	}
}

// rest waits until somebody does something to the place.
func (s *Sim) rest(ctx context.Context) {
	s.resting = true
	close(s.idle)
	s.mu.Unlock()
	select {
	case <-s.wake:
	case <-ctx.Done():
	}
	s.mu.Lock()
	if s.resting {
		s.resting, s.idle = false, make(chan struct{})
	}
}

// stir says that there is something to do.
func (s *Sim) stir() {
	s.news = true
	if s.resting {
		s.resting, s.idle = false, make(chan struct{})
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Settle waits until the engine sleeps and nothing is left to happen by itself.
func (s *Sim) Settle(ctx context.Context) error {
	s.mu.Lock()
	idle := s.idle
	s.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for the simulation to settle: %w", ctx.Err())
	}
}

// delta is what changed since the last one.
func (s *Sim) delta() nexus.Delta {
	if s.told && len(s.dirtyJobs)+len(s.dirtyNodes) == 0 {
		s.news = false
		return nexus.Delta{}
	}
	s.version++
	d := nexus.Delta{Version: s.version, Full: !s.told}
	if d.Full {
		s.told = true
		d.Queues = s.options.Queues
		for name := range s.nodes {
			s.dirtyNodes[name] = true
		}
		for id := range s.jobs {
			s.dirtyJobs[id] = true
		}
	}
	for _, id := range slices.Sorted(maps.Keys(s.dirtyJobs)) {
		switch j := s.jobs[id]; {
		case !j.job.Phase.Over():
			d.Jobs = append(d.Jobs, j.job)
		case !d.Full:
			d.GoneJobs = append(d.GoneJobs, id)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.dirtyNodes)) {
		if n, ok := s.nodes[name]; ok {
			d.Nodes = append(d.Nodes, n)
		} else {
			d.GoneNodes = append(d.GoneNodes, name)
		}
	}
	clear(s.dirtyJobs)
	clear(s.dirtyNodes)
	d.History = s.learner.News()
	s.news = false
	return d
}

// Job returns a job as it stands.
func (s *Sim) Job(id string) (nexus.Job, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	j := s.jobs[id]
	if j == nil {
		return nexus.Job{}, false
	}
	return j.job, true
}

// Jobs lists every job that was ever submitted, by id.
func (s *Sim) Jobs() []nexus.Job {
	s.mu.Lock()
	defer s.mu.Unlock()
	var jobs []nexus.Job
	for _, j := range s.jobs {
		jobs = append(jobs, j.job)
	}
	slices.SortFunc(jobs, func(a, b nexus.Job) int { return cmp.Compare(a.ID, b.ID) })
	return jobs
}

// Violations tells, a line each, what plans asked for that would have broken a promise. None was done.
func (s *Sim) Violations() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.violations)
}
