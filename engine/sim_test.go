package engine_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ainexus.io/cluster/clustertest"
	"ainexus.io/cluster/sim"
	"ainexus.io/engine"
	"ainexus.io/nexus"
	"ainexus.io/sched/policy"
)

var (
	dawn = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	mute = slog.New(slog.DiscardHandler)
)

// run turns an engine over a place until the test ends.
func run(t *testing.T, c engine.Cluster, observers ...engine.Observer) *engine.Engine {
	e := engine.New(c, policy.Default(), observers, mute)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("the engine ended with %v", err)
		}
	})
	return e
}

// diary remembers cycles.
type diary struct {
	mu     sync.Mutex
	cycles []nexus.Cycle
	holds  map[string]nexus.Reason
}

func (d *diary) Observe(c nexus.Cycle, _ func() nexus.Snapshot) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cycles = append(d.cycles, c)
	for _, h := range c.Plan.Hold {
		if d.holds == nil {
			d.holds = map[string]nexus.Reason{}
		}
		d.holds[h.Job] = h.Reason
	}
}

func (d *diary) read() []nexus.Cycle {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.cycles)
}

// simulated is the imagined place under the suite of promises.
type simulated struct {
	*sim.Sim
	diary *diary
}

func (s simulated) Submit(_ context.Context, spec nexus.Spec, b clustertest.Body) (string, error) {
	return s.Sim.Submit(spec, sim.Life{Gate: b.Until, Exit: b.Exit, Save: time.Second}), nil
}

func (s simulated) Job(_ context.Context, id string) (nexus.Job, error) {
	j, ok := s.Sim.Job(id)
	if !ok {
		return j, fmt.Errorf("no job %s", id)
	}
	return j, nil
}

func (s simulated) Cancel(_ context.Context, id string) error { return s.Sim.Cancel(id) }

func (s simulated) KillAgent(_ context.Context, id string) error { s.Kill(id); return nil }

func (s simulated) Reason(_ context.Context, id string) (nexus.Reason, error) {
	s.diary.mu.Lock()
	defer s.diary.mu.Unlock()
	return s.diary.holds[id], nil
}

func TestSimulationKeepsThePromises(t *testing.T) {
	clustertest.Run(t, func(t *testing.T, m clustertest.Machine) clustertest.Place {
		s, d := sim.New(dawn, sim.Machine("here", m.Slots, 8<<10, 0, "", 0)), &diary{}
		run(t, s, d)
		t.Cleanup(func() {
			if v := s.Violations(); len(v) > 0 {
				t.Errorf("promises broken: %v", v)
			}
		})
		return simulated{s, d}
	})
}

func gpuJob(name string, nodes, gpus int, p nexus.Priority) nexus.Spec {
	return nexus.Spec{
		Name: name, Type: nexus.Training, Priority: p, Nodes: nexus.Range{Min: nodes, Max: nodes}, Workers: gpus,
		Resources: nexus.Resources{GPUs: nexus.GPUCount{N: gpus}, CPU: nexus.CPU(1000 * gpus)},
	}
}

// A day of a fleet: eighty jobs of all sorts, nodes that come and go. Twice the same gives the same
// history, everything ends, nothing is promised twice, and the restarts stay within the budgets.
func TestADayOfAFleet(t *testing.T) {
	day := func(t *testing.T) []nexus.Job {
		s := sim.New(dawn)
		for i := range 4 {
			s.SetNode(sim.Machine(fmt.Sprintf("n%d", i), 16, 64<<10, 4, "A100", 40<<10))
		}
		for i := range 80 {
			spec := gpuJob(fmt.Sprintf("job %d", i), 1+i%7/6, 1+i%4, nexus.Priority(i%5%4-1))
			spec.Restart.Max = i % 3
			if i%3 == 0 {
				spec.MaxDuration = nexus.Duration(2 * time.Hour)
			}
			if i%4 == 0 {
				spec.Checkpoint = &nexus.CheckpointSpec{}
			}
			life := sim.Life{Runs: time.Duration(5+i*7%50) * time.Minute, Save: time.Duration(i%20) * time.Second}
			if i%11 == 0 {
				life.Exit = 1
			}
			s.At(dawn.Add(time.Duration(i*i%150)*time.Minute), func() { s.Submit(spec, life) })
		}
		for i := range 6 {
			name := fmt.Sprintf("n%d", i%4)
			s.At(dawn.Add(time.Duration(40+i*50)*time.Minute), func() { s.SetState(name, nexus.Lost) })
			s.At(dawn.Add(time.Duration(60+i*50)*time.Minute), func() { s.SetState(name, nexus.Ready) })
		}
		run(t, s)
		if err := s.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		if v := s.Violations(); len(v) > 0 {
			t.Fatalf("promises broken: %v", v)
		}
		return s.Jobs()
	}
	jobs := day(t)
	if len(jobs) != 80 {
		t.Fatalf("%d jobs", len(jobs))
	}
	for _, j := range jobs {
		if !j.Phase.Over() || j.RestartsUsed > j.Spec.Restart.Max {
			t.Errorf("%s is %s after %d attempts, %d of %d restarts", j.ID, j.Phase, j.Attempt, j.RestartsUsed, j.Spec.Restart.Max)
		}
	}
	if again := day(t); !reflect.DeepEqual(jobs, again) {
		t.Error("the same day twice is not the same")
	}
}

// A burst of submits is a handful of cycles, and an engine with nothing to do asks nobody anything.
func TestBurstsAreGatheredAndIdleIsIdle(t *testing.T) {
	s := sim.New(dawn, sim.Machine("here", 4, 8<<10, 0, "", 0))
	for range 300 {
		s.Submit(nexus.Spec{Resources: nexus.Resources{CPU: 1000}}, sim.Life{Gate: "never"})
	}
	e := run(t, s)
	if err := s.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := e.Cycles()
	if before > 5 {
		t.Errorf("a burst of 300 submits took %d cycles", before)
	}
	if err := s.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if now := e.Cycles(); now != before {
		t.Errorf("idle, and yet %d more cycles", now-before)
	}
}

// still is a place where nothing ever happens, in real (synctest: imagined) time.
type still struct{ first bool }

func (s *still) Now() time.Time { return time.Now() }

func (s *still) Apply(context.Context, nexus.Plan) error { return nil }

func (s *still) Changes(ctx context.Context, until time.Time) (nexus.Delta, error) {
	if !s.first {
		s.first = true
		return nexus.Delta{Full: true}, nil
	}
	if until.IsZero() {
		<-ctx.Done()
		return nexus.Delta{}, ctx.Err()
	}
	return nexus.Delta{}, pause(ctx, time.Until(until))
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func TestAnIdleEngineMakesNoCallInAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		e := engine.New(&still{}, policy.Default(), nil, mute)
		if err := e.Run(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		if n := e.Cycles(); n != 1 {
			t.Fatalf("%d cycles, one for the first delta is enough", n)
		}
	})
}

// broken is a place that fails for a while.
type broken struct {
	*sim.Sim
	mu             sync.Mutex
	changes, apply int // how many more calls fail
	calls          int
}

func (b *broken) fail(left *int) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls++
	if *left > 0 {
		*left--
		return errors.New("the disk is full")
	}
	return nil
}

func (b *broken) Changes(ctx context.Context, until time.Time) (nexus.Delta, error) {
	if err := b.fail(&b.changes); err != nil {
		return nexus.Delta{}, err
	}
	return b.Sim.Changes(ctx, until)
}

func (b *broken) Apply(ctx context.Context, p nexus.Plan) error {
	if err := b.fail(&b.apply); err != nil {
		return err
	}
	return b.Sim.Apply(ctx, p)
}

// A place that fails is asked again, with growing pauses and not in a hot loop; what was decided and not
// carried out is decided again, and what was not told is told.
func TestAFailingPlaceIsRetriedWithBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sim.New(dawn, sim.Machine("here", 1, 8<<10, 0, "", 0))
		b, d := &broken{Sim: s, changes: 5, apply: 5}, &diary{}
		first := s.Submit(nexus.Spec{Resources: nexus.Resources{CPU: 1000}}, sim.Life{Gate: "go"})
		second := s.Submit(nexus.Spec{Resources: nexus.Resources{CPU: 1000}}, sim.Life{})
		began := time.Now()
		run(t, b, d)
		synctest.Wait()
		for range 60 { // an hour at most: each retry waits 10 s at most
			if j, _ := s.Job(first); j.Phase == nexus.Running {
				break
			}
			pause(t.Context(), time.Second)
			synctest.Wait()
		}
		if j, _ := s.Job(first); j.Phase != nexus.Running {
			t.Fatalf("the first job is %s", j.Phase)
		}
		if d.holds[second].Code != nexus.WaitCapacity {
			t.Errorf("the second job was told %+v", d.holds[second])
		}
		if waited := time.Since(began); waited < 3*time.Second || b.calls > 60 {
			t.Errorf("%d calls within %s: that is a hot loop", b.calls, waited)
		}
		s.Open("go")
		synctest.Wait()
		if j, _ := s.Job(second); j.Phase != nexus.Succeeded {
			t.Errorf("the second job is %s", j.Phase)
		}
	})
}

// meddler changes the world between a plan and its application.
type meddler struct {
	*sim.Sim
	once sync.Once
	do   func()
}

func (m *meddler) Changes(ctx context.Context, until time.Time) (nexus.Delta, error) {
	if until.Equal(m.Sim.Now()) { // verify asks what is new
		m.once.Do(m.do)
	}
	return m.Sim.Changes(ctx, until)
}

// A decision whose basis moved while it was made is dropped, not forced, and made again.
func TestDecisionsWhoseBasisMovedAreDropped(t *testing.T) {
	s := sim.New(dawn, sim.Machine("n1", 4, 8<<10, 1, "A100", 40<<10), sim.Machine("n2", 4, 8<<10, 1, "A100", 40<<10))
	id := s.Submit(gpuJob("a", 1, 1, nexus.Normal), sim.Life{Gate: "never"})
	other := s.Submit(gpuJob("b", 1, 1, nexus.Normal), sim.Life{Gate: "never"})
	d := &diary{}
	run(t, &meddler{Sim: s, do: func() {
		s.SetState("n1", nexus.Lost)
		if err := s.Cancel(other); err != nil {
			t.Error(err)
		}
	}}, d)
	if err := s.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	first := d.read()[0]
	slices.Sort(first.Dropped)
	if !slices.Equal(first.Dropped, []string{id, other}) || len(first.Plan.Place) > 0 {
		t.Errorf("the first cycle dropped %v and placed %v", first.Dropped, first.Plan.Place)
	}
	if j, _ := s.Job(id); j.Phase != nexus.Running || j.Placement.Seats[0].Node != "n2" {
		t.Errorf("it is %s on %+v, and n2 is there", j.Phase, j.Placement)
	}
	if j, _ := s.Job(other); j.Phase != nexus.Cancelled {
		t.Errorf("the cancelled one is %s", j.Phase)
	}
}

// Every job that a plan places or evicts comes back in a later delta.
func TestDecisionsAreAnswered(t *testing.T) {
	s, d := sim.New(dawn, sim.Machine("here", 2, 8<<10, 0, "", 0)), &diary{}
	for i := range 20 {
		s.Submit(nexus.Spec{Priority: nexus.Priority(i%4 - 1), Resources: nexus.Resources{CPU: 1000}}, sim.Life{Runs: time.Minute, Save: time.Second})
	}
	run(t, s, d)
	if err := s.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	open := map[string]bool{}
	for _, c := range d.read() {
		for _, j := range c.Delta.Jobs {
			delete(open, j.ID)
		}
		for _, id := range c.Delta.GoneJobs {
			delete(open, id)
		}
		for _, p := range c.Plan.Place {
			open[p.Job] = true
		}
		for _, v := range c.Plan.Evict {
			open[v.Job] = true
		}
	}
	if len(open) > 0 {
		t.Errorf("decisions without an answer: %v", open)
	}
}

func TestWhyIsAnsweredWhileTheEngineTurns(t *testing.T) {
	s := sim.New(dawn, sim.Machine("here", 4, 8<<10, 2, "A100", 40<<10))
	s.Submit(gpuJob("a", 1, 1, nexus.Normal), sim.Life{Gate: "never"})
	id := s.Submit(gpuJob("b", 1, 2, nexus.Normal), sim.Life{})
	e := run(t, s)
	if err := s.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	why, err := e.Why(t.Context(), id)
	if err != nil || why.Reason.Code != nexus.WaitCapacity || why.Position != 1 || why.Fix == nil || why.Fix.Set["resources.gpus"] != "1" {
		t.Errorf("%+v, %v", why, err)
	}
	var refusal *nexus.Error
	if _, err := e.Why(t.Context(), "nobody"); !errors.As(err, &refusal) || refusal.Code != nexus.CodeNotFound {
		t.Errorf("an unknown job: %v", err)
	}
}
