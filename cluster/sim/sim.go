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
)

// Life is what an imagined job does once it runs. The zero value succeeds at once.
type Life struct {
	Runs time.Duration // work to do; what was saved by a checkpoint is not done again
	Gate string        // if not empty, it runs until [Sim.Open] of that gate instead
	Exit int           // exit code; not 0 is a failure
	Save time.Duration // how long it takes to stop when it is asked to
}

// Sim is the place. Its methods may be called at any time from anywhere.
type Sim struct {
	mu      sync.Mutex
	now     time.Time
	version uint64
	nodes   map[string]nexus.Node
	jobs    map[string]*imagined
	gates   map[string]bool // open ones
	events  events
	serial  int

	told       bool // the first, full delta was given
	dirtyJobs  map[string]bool
	dirtyNodes map[string]bool
	wake       chan struct{} // somebody waits in Changes; holds one token at most
	idle       chan struct{} // closed while Changes waits and nothing is left to come
	resting    bool
	violations []string
}

// imagined is a job and what only the place knows of it.
type imagined struct {
	job    nexus.Job
	life   Life
	done   time.Duration // work saved
	began  time.Time     // of Running
	ending int           // counts endings, so that events of a past attempt are void
}

// New returns a place with these nodes whose clock shows start.
func New(start time.Time, nodes ...nexus.Node) *Sim {
	s := &Sim{
		now: start, nodes: map[string]nexus.Node{}, jobs: map[string]*imagined{}, gates: map[string]bool{},
		dirtyJobs: map[string]bool{}, dirtyNodes: map[string]bool{},
		wake: make(chan struct{}, 1), idle: make(chan struct{}),
	}
	for _, n := range nodes {
		s.nodes[n.Name] = n
	}
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
		if d := s.delta(); !d.Empty() {
			return d, ctx.Err()
		}
		if err := ctx.Err(); err != nil {
			return nexus.Delta{}, err
		}
		switch {
		case len(s.events) > 0 && (until.IsZero() || !s.events[0].at.After(until)):
			e := heap.Pop(&s.events).(event)
			if e.at.After(s.now) {
				s.now = e.at
			}
			e.do()
		case !until.IsZero():
			if until.After(s.now) {
				s.now = until
			}
			return nexus.Delta{}, nil
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
		return nexus.Delta{}
	}
	s.version++
	d := nexus.Delta{Version: s.version, Full: !s.told}
	if d.Full {
		s.told = true
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

// event is something that happens by itself.
type event struct {
	at     time.Time
	serial int // of equals, the first made is the first to happen
	do     func()
}

func (s *Sim) at(t time.Time, do func()) {
	s.serial++
	heap.Push(&s.events, event{t, s.serial, do})
}

func (s *Sim) after(d time.Duration, do func()) { s.at(s.now.Add(d), do) }

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return cmp.Or(e[i].at.Compare(e[j].at), cmp.Compare(e[i].serial, e[j].serial)) < 0
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := len(*e) - 1
	x := (*e)[last]
	*e = (*e)[:last]
	return x
}
