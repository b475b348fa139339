package main

import (
	"fmt"
	"math/rand/v2"
	"time"

	"ainexus.io/nexus"
)

// load makes up a fleet and the jobs of a busy year: the same ones each time.
type load struct {
	random *rand.Rand
	made   int
	at     time.Time
}

func newLoad() *load {
	return &load{random: rand.New(rand.NewPCG(3, 5)), at: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
}

// weighted is a value and how often it is drawn, against the others.
type weighted[T any] struct {
	weight int
	value  T
}

func draw[T any](r *rand.Rand, list []weighted[T]) T {
	total := 0
	for _, w := range list {
		total += w.weight
	}
	n := r.IntN(total)
	for _, w := range list {
		if n -= w.weight; n < 0 {
			return w.value
		}
	}
	panic("weights are positive")
}

// fleet is so many machines of 8 GPUs, of two models, in racks of 16 and blocks of 8 racks.
func (l *load) fleet(nodes int) []nexus.Node {
	list := make([]nexus.Node, nodes)
	for i := range list {
		n := nexus.Node{
			Name: fmt.Sprintf("node-%05d", i), State: nexus.Ready, CPU: 128_000, Memory: 1024 << 10,
			Rack: fmt.Sprintf("rack-%04d", i/16), Block: fmt.Sprintf("block-%03d", i/128),
		}
		model, memory := "H100", nexus.MiB(80<<10)
		if i/16%2 == 1 {
			model, memory = "A100", 40<<10
		}
		for g := range 8 {
			n.GPUs = append(n.GPUs, nexus.GPU{Index: g, UUID: fmt.Sprintf("GPU-%s-%d", n.Name, g), Model: model, Memory: memory, Reserve: 512, Free: -1})
		}
		list[i] = n
	}
	return list
}

// queues are those that jobs are submitted to. None has limits.
func (l *load) queues() []nexus.Queue {
	var list []nexus.Queue
	for i := range 8 {
		list = append(list, nexus.Queue{Name: fmt.Sprintf("team-%d", i)})
	}
	return list
}

// profile is what goes with each GPU.
type profile struct {
	cpu    nexus.CPU
	memory nexus.MiB
}

// size is what a job wants on how many machines.
type size struct {
	nodes, gpus int
	share       nexus.MiB
}

func (l *load) size() size {
	return draw(l.random, []weighted[size]{
		{4, size{1, 0, 8 << 10}}, {4, size{1, 0, 16 << 10}}, {4, size{1, 0, 24 << 10}}, {3, size{1, 0, 38 << 10}},
		{40, size{1, 1, 0}}, {12, size{1, 2, 0}}, {12, size{1, 4, 0}}, {13, size{1, 8, 0}},
		{5, size{2, 8, 0}}, {2, size{4, 8, 0}}, {1, size{8, 8, 0}},
	})
}

// job is the next that was submitted, in the week before now.
func (l *load) job() nexus.Job {
	l.made++
	r, s := l.random, l.size()
	devices := max(1, s.gpus)
	with := draw(r, []weighted[profile]{{3, profile{4_000, 32 << 10}}, {2, profile{8_000, 64 << 10}}, {1, profile{12_000, 96 << 10}}})
	kind := draw(r, []weighted[nexus.Type]{{60, nexus.Training}, {15, nexus.Inference}, {10, nexus.Preprocessing}, {15, nexus.Evaluation}})
	if s.nodes > 1 {
		kind = nexus.Training
	}
	spec := nexus.Spec{
		Type: kind, Priority: draw(r, []weighted[nexus.Priority]{{20, nexus.Low}, {60, nexus.Normal}, {15, nexus.High}, {5, nexus.Critical}}),
		Queue: fmt.Sprintf("team-%d", r.IntN(8)), Nodes: nexus.Range{Min: s.nodes, Max: s.nodes}, Workers: devices,
		Resources: nexus.Resources{
			GPUs: nexus.GPUCount{N: s.gpus}, GPUMemory: s.share,
			GPUModel: draw(r, []weighted[[]string]{{80, nil}, {10, []string{"H100"}}, {10, []string{"A100"}}}),
			CPU:      nexus.CPU(devices) * with.cpu,
			Memory:   nexus.MiB(devices) * with.memory,
		},
		MaxDuration: nexus.Duration(draw(r, []weighted[time.Duration]{{40, 0}, {15, time.Hour}, {15, 4 * time.Hour}, {15, 12 * time.Hour}, {15, 24 * time.Hour}})),
		Checkpoint:  &nexus.CheckpointSpec{},
	}
	return nexus.Job{
		ID: fmt.Sprintf("job-%06d", l.made), Spec: spec, User: fmt.Sprintf("user-%03d", r.IntN(200)), Phase: nexus.Pending,
		Submitted: l.at.Add(-time.Duration(r.Int64N(int64(7 * 24 * time.Hour)))),
	}
}

// jobs are the next so many.
func (l *load) jobs(n int) []nexus.Job {
	list := make([]nexus.Job, n)
	for i := range list {
		list[i] = l.job()
	}
	return list
}

// stand is how the jobs of a fleet stand, as its place would tell.
type stand struct {
	jobs     map[string]*nexus.Job
	running  []string
	stopping []string // evicted, and gone by the next event
}

// newStand keeps the jobs where they are and changes them there.
func newStand(jobs []nexus.Job) *stand {
	s := &stand{jobs: make(map[string]*nexus.Job, len(jobs))}
	for i := range jobs {
		s.jobs[jobs[i].ID] = &jobs[i]
	}
	return s
}

// carryOut does what a plan says, and returns what the planner is told of it.
func (s *stand) carryOut(plan nexus.Plan) (d nexus.Delta) {
	for i := range plan.Place {
		j := s.jobs[plan.Place[i].Job]
		j.Phase, j.Attempt, j.Placement, j.Started = nexus.Running, plan.Place[i].Attempt, &plan.Place[i], plan.At
		s.running = append(s.running, j.ID)
		d.Jobs = append(d.Jobs, *j)
	}
	for _, e := range plan.Evict {
		j := s.jobs[e.Job]
		j.Phase, j.Stop, j.StopFor = nexus.Stopping, nexus.StopPreempt, e.For
		s.stopping = append(s.stopping, j.ID)
		d.Jobs = append(d.Jobs, *j)
	}
	return d
}

// event lets somebody end and somebody come, and whoever was evicted leave.
func (s *stand) event(l *load) (d nexus.Delta) {
	for _, id := range s.stopping {
		j := s.jobs[id]
		j.Phase, j.Stop, j.StopFor, j.Placement = nexus.Pending, "", "", nil
		j.Preemptions++
		d.Jobs = append(d.Jobs, *j)
	}
	s.stopping = nil
	for len(d.GoneJobs) == 0 && len(s.running) > 0 {
		i, last := l.random.IntN(len(s.running)), len(s.running)-1
		id := s.running[i]
		s.running[i] = s.running[last]
		s.running = s.running[:last]
		if j := s.jobs[id]; j.Phase == nexus.Running {
			delete(s.jobs, id)
			d.GoneJobs = []string{id}
		}
	}
	j := l.job()
	j.Submitted = l.at
	s.jobs[j.ID] = &j
	d.Jobs = append(d.Jobs, j)
	return d
}
