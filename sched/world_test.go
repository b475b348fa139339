package sched

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"ainexus.io/nexus"
	"ainexus.io/sched/policy"
)

// world is the simplest place there is: it keeps a snapshot, carries out each plan at once, and tells the
// planner what changed. Scripts and properties play in it.
type world struct {
	nodes   map[string]nexus.Node
	jobs    map[string]nexus.Job
	queues  []nexus.Queue
	use     []nexus.QueueUse
	at      time.Time
	history *nexus.History // as told at the beginning
	planner *Planner
	started bool

	dirtyJobs, dirtyNodes map[string]bool
	reasons               map[string]nexus.Reason
	kept                  map[string]nexus.Reservation
}

func newWorld() *world {
	return &world{
		nodes: map[string]nexus.Node{}, jobs: map[string]nexus.Job{},
		at:      time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		planner: New(policy.Default()), dirtyJobs: map[string]bool{}, dirtyNodes: map[string]bool{},
		reasons: map[string]nexus.Reason{}, kept: map[string]nexus.Reservation{},
	}
}

func (w *world) setNode(n nexus.Node) { w.nodes[n.Name] = n; w.dirtyNodes[n.Name] = true }

func (w *world) dropNode(name string) { delete(w.nodes, name); w.dirtyNodes[name] = true }

func (w *world) setJob(j nexus.Job) { w.jobs[j.ID] = j; w.dirtyJobs[j.ID] = true }

func (w *world) removeJob(id string) {
	delete(w.jobs, id)
	delete(w.reasons, id)
	w.dirtyJobs[id] = true
}

// stopped sends a job that was asked for its seats back to wait.
func (w *world) stopped(id string) {
	resized := w.jobs[id].Stop == nexus.StopResize
	w.pend(id, func(j *nexus.Job) { j.Preemptions += bit(!resized) })
}

// pend sends a live job back to wait.
func (w *world) pend(id string, edit func(*nexus.Job)) {
	j := w.jobs[id]
	j.Phase, j.Placement, j.Stop, j.StopFor = nexus.Pending, nil, "", ""
	edit(&j)
	w.setJob(j)
}

// arrive ends a job and tells those who wait for it.
func (w *world) arrive(id string, phase nexus.Phase) {
	w.removeJob(id)
	for other, j := range w.jobs {
		j.After = slices.Clone(j.After)
		for i := range j.After {
			if j.After[i].Job == id {
				j.After[i].Phase = phase
				w.jobs[other] = j
				w.dirtyJobs[other] = true
			}
		}
	}
}

func (w *world) snapshot() nexus.Snapshot {
	s := nexus.Snapshot{At: w.at, Queues: w.queues, Use: w.use, History: w.history}
	for _, name := range slices.Sorted(maps.Keys(w.nodes)) {
		s.Nodes = append(s.Nodes, w.nodes[name])
	}
	for _, id := range slices.Sorted(maps.Keys(w.jobs)) {
		s.Jobs = append(s.Jobs, w.jobs[id])
	}
	for _, id := range slices.Sorted(maps.Keys(w.kept)) {
		s.Reserve = append(s.Reserve, w.kept[id])
	}
	return s
}

// delta is what changed since the last plan.
func (w *world) delta() nexus.Delta {
	defer clear(w.dirtyJobs)
	defer clear(w.dirtyNodes)
	if !w.started {
		w.started = true
		return everything(w.snapshot())
	}
	d := nexus.Delta{Queues: w.queues, Use: w.use}
	for _, id := range slices.Sorted(maps.Keys(w.dirtyJobs)) {
		if j, ok := w.jobs[id]; ok {
			d.Jobs = append(d.Jobs, j)
		} else {
			d.GoneJobs = append(d.GoneJobs, id)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(w.dirtyNodes)) {
		if n, ok := w.nodes[name]; ok {
			d.Nodes = append(d.Nodes, n)
		} else {
			d.GoneNodes = append(d.GoneNodes, name)
		}
	}
	return d
}

// step asks the planner.
func (w *world) step() nexus.Plan {
	plan := w.planner.Step(w.delta(), w.at)
	for _, h := range plan.Hold {
		w.reasons[h.Job] = h.Reason
	}
	for _, r := range plan.Reserve {
		w.kept[r.Job] = r
		if len(r.Seats) == 0 {
			delete(w.kept, r.Job)
		}
	}
	return plan
}

// apply carries out a plan: what is placed runs, what is evicted is stopping.
func (w *world) apply(plan nexus.Plan) {
	for _, p := range plan.Place {
		j := w.jobs[p.Job]
		j.Phase, j.Placement, j.Attempt, j.Started, j.NotBefore = nexus.Running, &p, p.Attempt, w.at, time.Time{}
		w.setJob(j)
		delete(w.reasons, p.Job)
	}
	for _, v := range plan.Evict {
		j := w.jobs[v.Job]
		j.Phase, j.Stop, j.StopFor = nexus.Stopping, v.Stop(), v.For
		w.setJob(j)
	}
}

// lawful checks the laws that hold after every plan that was carried out whole.
func (w *world) lawful(t fataler, before nexus.Snapshot, plan nexus.Plan) {
	t.Helper()
	fresh, scratch := planned(before, policy.Default())
	if got, want := decisions(plan), decisions(scratch); got != want {
		t.Fatalf("a fresh planner decides otherwise.\nstep by step:\n%s\nfrom scratch:\n%s\nfleet:\n%s", got, want, before)
	}
	holds := map[string]nexus.Reason{}
	for _, h := range scratch.Hold {
		holds[h.Job] = h.Reason
	}
	if !maps.Equal(holds, w.reasons) {
		t.Fatalf("a fresh planner gives other reasons.\nstep by step: %v\nfrom scratch: %v\nfleet:\n%s", w.reasons, holds, before)
	}
	kept := fresh.kept
	if !maps.EqualFunc(kept, w.kept, func(a, b nexus.Reservation) bool { return slices.EqualFunc(a.Seats, b.Seats, sameSeat) }) {
		t.Fatalf("a fresh planner reserves otherwise.\nstep by step: %v\nfrom scratch: %v\nfleet:\n%s", w.kept, kept, before)
	}
	after := w.snapshot()
	if again := Plan(after, policy.Default()); len(again.Place)+len(again.Evict) > 0 {
		t.Fatalf("applied and planned again, there is more to do:\n%s\nthe first plan was:\n%s\nfleet before:\n%s\nfleet after:\n%s", again, plan, before, after)
	}
	for _, j := range after.Jobs {
		if j.Phase == nexus.Pending && w.reasons[j.ID].Code == "" {
			t.Fatalf("%s waits without a reason\n%s", j.ID, after)
		}
	}
}

type fataler interface {
	Helper()
	Fatalf(string, ...any)
}

// decisions draws what a plan does, without what it tells.
func decisions(p nexus.Plan) string {
	return nexus.Plan{Place: p.Place, Evict: p.Evict, Wake: p.Wake}.String()
}

// job reads "id key=value ..." as a script writes a job.
func readJob(t fataler, w *world, args []string) nexus.Job {
	t.Helper()
	j := nexus.Job{ID: args[0], Submitted: w.at, Phase: nexus.Pending}
	rest := slices.DeleteFunc(slices.Clone(args[1:]), func(arg string) bool {
		switch key, value, _ := strings.Cut(arg, "="); key {
		case "after": // after=b:success,c:any
			for _, one := range strings.Split(value, ",") {
				other, on, _ := strings.Cut(one, ":")
				j.After = append(j.After, nexus.Dependency{Job: other, Name: other, On: nexus.Await(on)})
			}
		case "array": // array=ID%2
			id, most, _ := strings.Cut(value, "%")
			n, err := strconv.Atoi(most)
			if err != nil {
				t.Fatalf("%s: %v", arg, err)
			}
			j.Member = &nexus.Member{Array: id, AtOnce: n}
		case "user":
			j.User = value
		default:
			return false
		}
		return true
	})
	j.Spec = readSpec(t, rest)
	j.Submitted = j.Submitted.Add(time.Duration(len(w.jobs)) - time.Microsecond) // arrival in the order of the script
	return j
}

func readSpec(t fataler, args []string) nexus.Spec {
	t.Helper()
	s := nexus.Spec{Type: nexus.Training, Nodes: nexus.Range{Min: 1, Max: 1}, Queue: nexus.DefaultQueue}
	cpuSaid := false
	for _, arg := range args {
		if err := setOne(&s, arg); err != nil {
			t.Fatalf("%s: %v", arg, err)
		}
		cpuSaid = cpuSaid || strings.HasPrefix(arg, "cpu=")
	}
	if s.Workers == 0 && !s.Resources.GPUs.Auto {
		s.Workers = max(1, s.Resources.GPUs.N)
	}
	if !cpuSaid {
		s.Resources.CPU = nexus.CPU(1000 * s.Workers)
	}
	return s
}

// setOne sets one key of a job file.
func setOne(s *nexus.Spec, arg string) error {
	key, value, _ := strings.Cut(arg, "=")
	var err error
	switch key {
	case "type":
		err = s.Type.UnmarshalText([]byte(value))
	case "priority":
		err = s.Priority.UnmarshalText([]byte(value))
	case "queue":
		s.Queue = value
	case "nodes":
		err = s.Nodes.UnmarshalText([]byte(value))
	case "workers":
		s.Workers, err = strconv.Atoi(value)
	case "gpus", "resources.gpus":
		err = s.Resources.GPUs.UnmarshalText([]byte(value))
	case "gpu_memory", "resources.gpu_memory":
		err = s.Resources.GPUMemory.UnmarshalText([]byte(value))
	case "gpu_model", "resources.gpu_model":
		s.Resources.GPUModel = strings.Split(value, ",")
	case "cpu", "resources.cpu":
		err = s.Resources.CPU.UnmarshalText([]byte(value))
	case "memory", "resources.memory":
		err = s.Resources.Memory.UnmarshalText([]byte(value))
	case "mig", "resources.mig":
		s.Resources.MIG = value
	case "require":
		err = s.Topology.Require.UnmarshalText([]byte(value))
	case "near":
		err = s.Topology.Prefer.UnmarshalText([]byte(value))
	case "topology": // only null, as a fix sets it
		s.Topology = nexus.Topology{}
	case "max_duration":
		err = s.MaxDuration.UnmarshalText([]byte(value))
	case "checkpoint":
		s.Checkpoint = &nexus.CheckpointSpec{Path: value}
	case "prefer":
		for _, n := range strings.Split(value, ",") {
			i, _ := strconv.Atoi(n)
			s.PreferGPUs = append(s.PreferGPUs, i)
		}
	default:
		err = fmt.Errorf("unknown key")
	}
	return err
}
