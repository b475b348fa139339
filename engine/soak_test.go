package engine_test

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"ainexus.io/cluster/sim"
	"ainexus.io/nexus"
	"ainexus.io/sched"
	"ainexus.io/sched/policy"
)

var (
	soakSteps = flag.Int("soak.steps", 2_000, "how many random steps the soak takes")
	soakSeed  = flag.Uint64("soak.seed", 1, "seed of the soak; 0: a new one")
)

// soak is one fleet under random steps: submit, finish, fail, cancel, drain, lose, recover, let time pass. After each
// step the planner plans, the place acts, and the promises are added up anew from what the place told, by nobody's books.
type soak struct {
	random  *rand.Rand
	place   *sim.Sim
	planner *sched.Planner
	nodes   map[string]nexus.Node // as told
	jobs    map[string]nexus.Job  // as told, without those that are over
	reasons map[string]nexus.Reason
	took    map[string]bool // "a b": b was evicted for a
	resizes int
	serial  int
	bounds  policy.Bounds
	ripened int // evictions after a minimum run time
	wake    time.Time
	tail    []string // the last plans
}

// stepsPerFleet is how long a fleet lives. Then everybody who can has to come to an end.
const stepsPerFleet = 400

func TestSoak(t *testing.T) {
	seed := *soakSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Log("seed:", seed)
	began, steps, resizes, ripened := time.Now(), 0, 0, 0
	for fleet := uint64(0); steps < *soakSteps; fleet++ {
		bounds := policy.DefaultBounds()
		if r := rand.New(rand.NewPCG(^seed, fleet)); fleet%2 == 1 {
			bounds = policy.Bounds{MinRun: time.Duration(r.IntN(40)) * time.Minute, Most: r.IntN(4)}
		}
		s := newSoak(rand.New(rand.NewPCG(seed, fleet)), bounds)
		for range stepsPerFleet {
			steps++
			s.act()
			if why := s.turn(); why != "" {
				t.Fatalf("%s\nseed %d, fleet %d: %s", s.story(), seed, fleet, why)
			}
		}
		if why := s.drain(); why != "" {
			t.Fatalf("%s\nseed %d, fleet %d, in the end: %s", s.story(), seed, fleet, why)
		}
		resizes += s.resizes
		ripened += s.ripened
	}
	t.Logf("%d steps, %d resizes, %d evictions after a minimum run time, %.0f per second", steps, resizes, ripened, float64(steps)/time.Since(began).Seconds())
}

func newSoak(r *rand.Rand, bounds policy.Bounds) *soak {
	s := &soak{
		bounds: bounds,
		random: r, planner: sched.New(policy.Default()), nodes: map[string]nexus.Node{}, jobs: map[string]nexus.Job{},
		reasons: map[string]nexus.Reason{}, took: map[string]bool{},
	}
	var nodes []nexus.Node
	for i := range 1 + r.IntN(4) {
		n := sim.Machine(fmt.Sprint("n", i), 4+r.IntN(13), 32<<10, r.IntN(5), []string{"A100", "T4"}[r.IntN(2)], 16<<10)
		n.Rack = []string{"", "r1", "r2"}[r.IntN(3)]
		for k := range n.GPUs {
			n.GPUs[k].Reserve = nexus.MiB(r.IntN(3)) * 300
		}
		nodes = append(nodes, n)
	}
	options := sim.Options{Brisk: r.IntN(2) == 0}
	if least := nexus.Duration(bounds.MinRun); bounds != policy.DefaultBounds() {
		options.Queues = []nexus.Queue{{Name: nexus.DefaultQueue, MinRunTime: &least, MaxPreemptions: &bounds.Most}}
	}
	s.place = sim.NewWith(dawn, options, nodes...)
	return s
}

// act takes one step.
func (s *soak) act() {
	switch x := s.random.IntN(100); {
	case x < 40 && len(s.jobs) < 24:
		s.serial++
		s.place.SubmitAs(fmt.Sprintf("j%04d", s.serial), "", s.spec(), sim.Life{
			Runs: time.Duration(1+s.random.IntN(90)) * time.Minute, Exit: s.random.IntN(8) / 7, Save: time.Duration(s.random.IntN(3)*20) * time.Second,
			Resume: time.Minute, Every: 5 * time.Minute,
		})
	case x < 45:
		if id := s.any(); id != "" {
			_ = s.place.Cancel(id) // it is there
		}
	case x < 50:
		s.place.Kill(s.any())
	case x < 53:
		s.place.SetPriority(s.any(), nexus.Priority(s.random.IntN(4)-1))
	case x < 60:
		states := []nexus.NodeState{nexus.Ready, nexus.Ready, nexus.Cordoned, nexus.Draining, nexus.Lost}
		s.place.SetState(s.anyNode(), states[s.random.IntN(len(states))])
	case x < 62:
		if n, ok := s.nodes[s.anyNode()]; ok && len(n.GPUs) > 0 { // a device falls ill, or is well again
			n.GPUs = slices.Clone(n.GPUs)
			n.GPUs[s.random.IntN(len(n.GPUs))].Problem = []string{"", "", "XID 79"}[s.random.IntN(3)]
			s.place.SetNode(n)
		}
	}
}

func (s *soak) spec() nexus.Spec {
	r := s.random
	nodes := 1 + r.IntN(8)/6
	spec := nexus.Spec{
		Type: nexus.Types()[r.IntN(4)], Priority: nexus.Priority(r.IntN(8)/2 - 1), Nodes: nexus.Range{Min: nodes, Max: nodes + r.IntN(6)/5},
		Workers: 1, Resources: nexus.Resources{CPU: nexus.CPU(500 * (1 + r.IntN(6))), Memory: nexus.MiB(r.IntN(4)) << 10},
		Restart: nexus.Restart{Max: r.IntN(3)},
	}
	switch r.IntN(5) {
	case 0:
		spec.Resources.GPUMemory = nexus.MiB(1+r.IntN(15)) << 10
	case 1, 2, 3:
		spec.Resources.GPUs.N = 1 + r.IntN(4)
		spec.Workers = spec.Resources.GPUs.N
	}
	if r.IntN(3) == 0 {
		spec.MaxDuration = nexus.Duration(10+r.IntN(120)) * nexus.Duration(time.Minute)
	}
	if r.IntN(2) == 0 {
		spec.Checkpoint = &nexus.CheckpointSpec{}
	}
	return spec
}

// turn is one cycle, with a little time before it, and says which promise is broken.
func (s *soak) turn() string {
	until := s.place.Now().Add(time.Duration(s.random.IntN(300)) * time.Second)
	return s.cycle(until)
}

func (s *soak) cycle(until time.Time) string {
	d, err := s.place.Changes(context.Background(), until)
	if err != nil {
		return err.Error()
	}
	s.hear(d)
	plan := s.planner.Step(d, s.place.Now())
	s.wake = plan.Wake
	if len(s.tail) == 12 {
		s.tail = s.tail[1:]
	}
	s.tail = append(s.tail, fmt.Sprintf("%s\n%s", s.place.Now().Format(time.TimeOnly), plan))
	for _, h := range plan.Hold {
		s.reasons[h.Job] = h.Reason
	}
	for _, v := range plan.Evict {
		if why := s.protected(v); why != "" {
			return why
		}
		if v.Nodes > 0 {
			if why := s.resized(v); why != "" {
				return why
			}
			continue
		}
		s.took[v.For+" "+v.Job] = true
		if s.took[v.Job+" "+v.For] && s.jobs[v.Job].Spec.Priority == s.jobs[v.For].Spec.Priority {
			return fmt.Sprintf("I5: %s and %s evict one another in turn", v.Job, v.For)
		}
	}
	if err := s.place.Apply(context.Background(), plan); err != nil {
		return err.Error()
	}
	placed := map[string]bool{}
	for _, p := range plan.Place {
		placed[p.Job] = true
	}
	return s.broken(placed)
}

// protected says that a job is stopped before it has run for as long as its queue has it run, or more often than that allows.
func (s *soak) protected(v nexus.Eviction) string {
	j, other := s.jobs[v.Job], s.jobs[v.For]
	ran, urgent := s.place.Now().Sub(j.Started), other.Spec.Priority == nexus.Critical && j.Spec.Priority < nexus.Critical
	switch {
	case ran < s.bounds.MinRun:
		return fmt.Sprintf("I5: %s is stopped for %s after %s of at least %s", v.Job, v.For, ran, s.bounds.MinRun)
	case v.Nodes == 0 && j.Preemptions >= s.bounds.Most && !urgent:
		return fmt.Sprintf("I5: %s is stopped for %s, though it was preempted %d times of %d", v.Job, v.For, j.Preemptions, s.bounds.Most)
	}
	if s.bounds.MinRun > 0 {
		s.ripened++
	}
	return ""
}

// resized says what is wrong with a resize: it goes beyond what the job asked for, or nobody more urgent needs it and the
// job has only just started.
func (s *soak) resized(v nexus.Eviction) string {
	j, other := s.jobs[v.Job], s.jobs[v.For]
	ran := s.place.Now().Sub(j.Started)
	switch {
	case v.Nodes < j.Spec.Nodes.Min || v.Nodes > j.Spec.Nodes.Max:
		return fmt.Sprintf("%s of %s nodes is resized to %d", v.Job, j.Spec.Nodes, v.Nodes)
	case ran < policy.ResizeAfter && other.Spec.Priority <= j.Spec.Priority:
		return fmt.Sprintf("I5: %s is resized for %s after %s", v.Job, v.For, ran)
	}
	s.resizes++
	return ""
}

// hear takes in what the place tells.
func (s *soak) hear(d nexus.Delta) {
	for _, n := range d.Nodes {
		s.nodes[n.Name] = n
	}
	for _, j := range d.Jobs {
		s.jobs[j.ID] = j
		if j.Phase != nexus.Pending {
			delete(s.reasons, j.ID)
		}
	}
	for _, id := range d.GoneJobs {
		delete(s.jobs, id)
		delete(s.reasons, id)
	}
}

// broken adds everything up.
func (s *soak) broken(placed map[string]bool) string {
	if v := s.place.Violations(); len(v) > 0 {
		return "the place refused: " + v[0]
	}
	type device struct {
		node  string
		index int
	}
	whole, shares, cpu, memory := map[device]int{}, map[device]nexus.MiB{}, map[string]nexus.CPU{}, map[string]nexus.MiB{}
	for id, told := range s.jobs {
		j, ok := s.place.Job(id)
		if !ok || j.Attempt < told.Attempt {
			return "I4: " + id + " was acknowledged and is lost"
		}
		if j.RestartsUsed > j.Spec.Restart.Max {
			return fmt.Sprintf("I7: %s was restarted %d times of %d", id, j.RestartsUsed, j.Spec.Restart.Max)
		}
		if j.Phase == nexus.Pending && told.Phase == nexus.Pending && !placed[id] && s.reasons[id].Code == "" {
			return "I6: " + id + " waits and was not told why"
		}
		if j.Phase.Live() != (j.Placement != nil) {
			return fmt.Sprintf("I1: %s is %s and holds %v", id, j.Phase, j.Placement)
		}
		if j.Placement == nil {
			continue
		}
		if n := len(j.Placement.Seats); n < j.Spec.Nodes.Min || n > j.Spec.Nodes.Max {
			return fmt.Sprintf("I3: %s has %d nodes of %s", id, n, j.Spec.Nodes)
		}
		for _, seat := range j.Placement.Seats {
			cpu[seat.Node] += seat.CPU
			memory[seat.Node] += seat.Memory
			for _, g := range seat.GPUs {
				if seat.Share > 0 {
					shares[device{seat.Node, g.Index}] += seat.Share
				} else {
					whole[device{seat.Node, g.Index}]++
				}
			}
		}
	}
	for name, n := range s.nodes {
		if cpu[name] > n.CPU || memory[name] > n.Memory {
			return fmt.Sprintf("I2: %s gives %s cpus and %s", name, cpu[name], memory[name])
		}
		for _, g := range n.GPUs {
			at := device{name, g.Index}
			if whole[at] > 1 || whole[at] == 1 && shares[at] > 0 || shares[at] > g.Usable() {
				return fmt.Sprintf("I2: GPU %d of %s is given %d times and %s", g.Index, name, whole[at], shares[at])
			}
		}
	}
	return ""
}

// drain makes everything well and lets time pass: who can run comes to an end, without anybody asking (I8).
func (s *soak) drain() string {
	for _, name := range slices.Sorted(maps.Keys(s.nodes)) {
		n := s.nodes[name]
		n.State, n.GPUs = nexus.Ready, slices.Clone(n.GPUs)
		for k := range n.GPUs {
			n.GPUs[k].Problem = ""
		}
		s.place.SetNode(n)
	}
	for range 2000 {
		if why := s.cycle(s.place.Now().Add(10 * time.Minute)); why != "" {
			return why
		}
		waits := false
		for _, j := range s.jobs {
			waits = waits || s.reasons[j.ID].Code != nexus.WaitUnfit
		}
		if !waits {
			return ""
		}
	}
	return "I8: somebody never comes to an end"
}

// any is the id of some job that is not over.
func (s *soak) any() string {
	ids := slices.Sorted(maps.Keys(s.jobs))
	if len(ids) == 0 {
		return ""
	}
	return ids[s.random.IntN(len(ids))]
}

func (s *soak) anyNode() string {
	names := slices.Sorted(maps.Keys(s.nodes))
	if len(names) == 0 {
		return ""
	}
	return names[s.random.IntN(len(names))]
}

// story is what happened last.
func (s *soak) story() string {
	text := ""
	for _, x := range s.tail {
		text += x
	}
	snapshot := s.planner.Snapshot()
	return text + snapshot.String()
}
