package sched

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ainexus.io/nexus"
	"ainexus.io/sched/policy"
)

// The laws hold for fleets and jobs of every kind that fit on a page.

func anyNode(t *rapid.T, name string) nexus.Node {
	n := nexus.Node{
		Name: name, CPU: nexus.CPU(1000 * rapid.IntRange(1, 8).Draw(t, "cpu")), Memory: 16 << 10,
		State: rapid.SampledFrom([]nexus.NodeState{nexus.Ready, nexus.Ready, nexus.Ready, nexus.Ready, nexus.Cordoned, nexus.Lost}).Draw(t, "state"),
		Rack:  rapid.SampledFrom([]string{"", "r1", "r2"}).Draw(t, "rack"),
	}
	model := rapid.SampledFrom([]string{"A100", "H100"}).Draw(t, "model")
	for i := range rapid.IntRange(0, 4).Draw(t, "gpus") {
		d := nexus.GPU{Index: i, UUID: name + strconv.Itoa(i), Model: model, Memory: 40 << 10, Free: -1, Util: rapid.IntRange(0, 10).Draw(t, "util")}
		d.Island = rapid.SampledFrom([]string{"", "x", "y"}).Draw(t, "island")
		if rapid.IntRange(0, 12).Draw(t, "sick") == 0 {
			d.Problem = "xid 79"
		}
		n.GPUs = append(n.GPUs, d)
	}
	return n
}

func anyJob(t *rapid.T, id string, at time.Time) nexus.Job {
	s := nexus.Spec{
		Type:     rapid.SampledFrom(nexus.Types()).Draw(t, "type"),
		Priority: nexus.Priority(rapid.IntRange(-1, 2).Draw(t, "priority")),
		Queue:    rapid.SampledFrom([]string{"default", "default", "default", "ghost", "a", "a", "b", "b", "c"}).Draw(t, "queue"),
		Nodes:    rapid.SampledFrom([]nexus.Range{{Min: 1, Max: 1}, {Min: 1, Max: 1}, {Min: 2, Max: 2}, {Min: 1, Max: 3}}).Draw(t, "nodes"),
		Workers:  1,
	}
	r := &s.Resources
	switch rapid.IntRange(0, 5).Draw(t, "kind") {
	case 0:
		s.Workers = rapid.IntRange(1, 4).Draw(t, "workers")
	case 1:
		r.GPUMemory = nexus.MiB(rapid.IntRange(1, 40).Draw(t, "share")) << 10
	case 2:
		r.GPUs.Auto = true
		s.Workers = rapid.IntRange(0, 2).Draw(t, "workers")
	default:
		r.GPUs.N = rapid.IntRange(1, 4).Draw(t, "gpus")
		s.Workers = r.GPUs.N
		if rapid.IntRange(0, 4).Draw(t, "picky") == 0 {
			r.GPUModel = []string{"H100"}
		}
	}
	if !r.GPUs.Auto || s.Workers > 0 {
		r.CPU = nexus.CPU(500 * rapid.IntRange(0, 4).Draw(t, "cpu"))
	}
	r.Memory = nexus.MiB(rapid.IntRange(0, 6).Draw(t, "memory")) << 10
	switch rapid.IntRange(0, 9).Draw(t, "topology") {
	case 0:
		s.Topology.Require = nexus.LevelRack
	case 1:
		s.Topology.Prefer = nexus.LevelRack
	case 2:
		if !r.GPUs.Auto && s.Nodes.Min == 1 {
			s.Topology.Require = nexus.LevelIsland
		}
	}
	if rapid.IntRange(0, 2).Draw(t, "timed") == 0 {
		s.MaxDuration = nexus.Duration(time.Duration(rapid.IntRange(1, 90).Draw(t, "max_duration")) * time.Minute)
	}
	if rapid.Bool().Draw(t, "saves") {
		s.Checkpoint = &nexus.CheckpointSpec{}
	}
	var member *nexus.Member
	if n := rapid.IntRange(0, 8).Draw(t, "array"); n < 2 {
		member = &nexus.Member{Array: fmt.Sprint("array", n), AtOnce: n + 1}
	}
	return nexus.Job{ID: id, Spec: s, User: rapid.SampledFrom([]string{"ada", "eve"}).Draw(t, "user"), Member: member, Phase: nexus.Pending, Submitted: at.Add(-time.Duration(rapid.IntRange(0, 50).Draw(t, "age")) * time.Second)}
}

// kindsOf makes what a story is about.
type kindsOf struct {
	node   func(*rapid.T, string) nexus.Node
	job    func(*rapid.T, string, time.Time) nexus.Job
	many   int // jobs that come at once, at most
	queues func(*rapid.T) []nexus.Queue
}

func everyKind() kindsOf { return kindsOf{anyNode, anyJob, 4, anyQueues} }

// life plays a random story of a fleet and hands each plan to see, after it was carried out.
func life(t *rapid.T, k kindsOf, see func(w *world, before nexus.Snapshot, plan nexus.Plan)) {
	w := newWorld()
	for i := range rapid.IntRange(1, 4).Draw(t, "nodes") {
		w.setNode(k.node(t, fmt.Sprintf("n%d", i)))
	}
	if rapid.Bool().Draw(t, "queues") {
		w.queues = k.queues(t)
	}
	if minutes := rapid.IntRange(-200, 200).Draw(t, "likely"); minutes > 0 {
		w.history = runs(w.at, 20, time.Duration(minutes)*time.Minute)
	}
	next := 0
	pick := func(t *rapid.T, phases ...nexus.Phase) string {
		var ids []string
		for _, id := range slices.Sorted(maps.Keys(w.jobs)) {
			if slices.Contains(phases, w.jobs[id].Phase) {
				ids = append(ids, id)
			}
		}
		if len(ids) == 0 {
			t.Skip("no such job")
		}
		return rapid.SampledFrom(ids).Draw(t, "job")
	}
	submit := func(t *rapid.T) {
		for range rapid.IntRange(1, k.many).Draw(t, "many") {
			next++
			w.setJob(k.job(t, fmt.Sprintf("j%03d", next), w.at))
		}
	}
	finish := func(t *rapid.T) { w.removeJob(pick(t, nexus.Running)) }
	pass := func(t *rapid.T) {
		w.at = w.at.Add(time.Duration(rapid.IntRange(1, 40).Draw(t, "minutes")) * time.Minute)
	}
	t.Repeat(map[string]func(*rapid.T){
		"submit": submit,
		"again":  submit,
		"later": func(t *rapid.T) {
			w.at = w.at.Add(policy.ResizeAfter)
			pass(t)
		},
		"dependent": func(t *rapid.T) {
			next++
			j := k.job(t, fmt.Sprintf("j%03d", next), w.at)
			other := pick(t, nexus.Pending, nexus.Running)
			j.After = []nexus.Dependency{{Job: other, On: nexus.AwaitAny}}
			w.setJob(j)
		},
		"arrive": func(t *rapid.T) { w.arrive(pick(t, nexus.Running), nexus.Failed) },
		"finish": finish,
		"also":   finish,
		"cancel": func(t *rapid.T) { w.removeJob(pick(t, nexus.Pending)) },
		"cancelling": func(t *rapid.T) {
			j := w.jobs[pick(t, nexus.Running)]
			j.Phase, j.Stop = nexus.Stopping, nexus.StopCancel
			w.setJob(j)
		},
		"stopped": func(t *rapid.T) {
			id := pick(t, nexus.Stopping)
			if w.jobs[id].Stop == nexus.StopCancel {
				w.removeJob(id)
				return
			}
			w.stopped(id)
		},
		"hold": func(t *rapid.T) {
			j := w.jobs[pick(t, nexus.Pending)]
			j.HeldBy = rapid.SampledFrom([]string{"", "ada"}).Draw(t, "by")
			w.setJob(j)
		},
		"fail": func(t *rapid.T) {
			w.pend(pick(t, nexus.Running), func(j *nexus.Job) { j.NotBefore = w.at.Add(time.Minute) })
		},
		"save": func(t *rapid.T) {
			j := w.jobs[pick(t, nexus.Running)]
			j.CheckpointAt = w.at
			w.setJob(j)
		},
		"node": func(t *rapid.T) {
			name := rapid.SampledFrom([]string{"n0", "n1", "n2", "n3"}).Draw(t, "node")
			if rapid.IntRange(0, 3).Draw(t, "gone") == 0 {
				w.dropNode(name)
				return
			}
			w.setNode(k.node(t, name))
		},
		"queues": func(t *rapid.T) { w.queues = k.queues(t) },
		"time":   pass,
		"": func(t *rapid.T) {
			before := w.snapshot()
			plan := w.step()
			w.apply(plan)
			see(w, before, plan)
		},
	})
}

// Step by step is as from scratch; what was carried out leaves nothing to do; everyone who waits has a
// reason (lawful). No device is given twice (I2), a gang is whole or absent (I3), only lower priorities
// yield, to somebody who then has seats reserved (I5), every reason is true and every fix works (I6).
func TestLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		life(t, everyKind(), func(w *world, before nexus.Snapshot, plan nexus.Plan) { w.keepsLaws(t, before, plan) })
	})
}

// keepsLaws checks all that holds after a plan was carried out.
func (w *world) keepsLaws(t *rapid.T, before nexus.Snapshot, plan nexus.Plan) {
	w.lawful(t, before, plan)
	w.nothingTwice(t, before, plan)
	w.wholeGangs(t, plan)
	w.fairEvictions(t, before, plan)
	w.keepsQuota(t, before, plan)
	w.wakesInTime(t, before, plan)
	for id, r := range w.reasons {
		if lie := w.lie(w.jobs[id], r); lie != "" {
			t.Fatalf("%s is told %+v, but %s\nplan:\n%s\nfleet:\n%s", id, r, lie, plan, w.snapshot())
		}
	}
	switch rapid.IntRange(0, 9).Draw(t, "look closer") { // these take longer
	case 0:
		anyOrder(t, before)
	case 1, 2:
		fixWorks(t, w.snapshot())
	}
}

// anyOrder: the same snapshot gives the same bytes of plan, in whatever order it is told.
func anyOrder(t *rapid.T, s nexus.Snapshot) {
	want, mixed := Plan(s, policy.Default()), s
	mixed.Jobs = rapid.Permutation(s.Jobs).Draw(t, "jobs")
	mixed.Queues = rapid.Permutation(s.Queues).Draw(t, "queues")
	mixed.Nodes = rapid.Permutation(s.Nodes).Draw(t, "nodes")
	if got := Plan(mixed, policy.Default()); !reflect.DeepEqual(got, want) {
		t.Fatalf("another order, another plan:\n%s\nand\n%s", got, want)
	}
}

// fixWorks: whoever is asked about hears a sentence, and where a fix is offered, applying it starts the job (I6).
func fixWorks(t *rapid.T, s nexus.Snapshot) {
	if len(s.Jobs) > 0 {
		fixed(t, s, rapid.IntRange(0, len(s.Jobs)-1).Draw(t, "asked about"))
	}
}

// fixed asks about one job, applies the fix that is offered, sees the job start, and returns what was set.
func fixed(t fataler, s nexus.Snapshot, i int) map[string]string {
	j := s.Jobs[i]
	why, err := Why(s, policy.Default(), j.ID)
	if err != nil || why.Sentence == "" {
		t.Fatalf("%s: no sentence: %+v, %v", j.ID, why, err)
	}
	if why.Fix == nil {
		return nil
	}
	args := []string{}
	for key, value := range why.Fix.Set {
		args = append(args, key+"="+value)
	}
	changed := s
	changed.Jobs = slices.Clone(s.Jobs)
	changed.Jobs[i].Spec = set(t, j.Spec, args)
	if !slices.ContainsFunc(Plan(changed, policy.Default()).Place, func(p nexus.Placement) bool { return p.Job == j.ID }) {
		t.Fatalf("%s was promised to start with %v and does not\n%s", j.ID, why.Fix.Set, s)
	}
	return why.Fix.Set
}

// nothingTwice adds everything up again.
func (w *world) nothingTwice(t *rapid.T, before nexus.Snapshot, plan nexus.Plan) {
	fresh := map[string]bool{}
	for _, p := range plan.Place {
		for _, s := range p.Seats {
			fresh[s.Node] = true
		}
	}
	for name := range fresh { // nodes that shrank under what runs are nobody's decision
		n := w.nodes[name]
		var cpu nexus.CPU
		var memory nexus.MiB
		shares, whole := map[string]nexus.MiB{}, map[string]int{}
		for _, j := range w.jobs {
			if j.Placement == nil {
				continue
			}
			for _, s := range j.Placement.Seats {
				if s.Node != name {
					continue
				}
				cpu, memory = cpu+s.CPU, memory+s.Memory
				for _, g := range s.GPUs {
					shares[g.UUID] += s.Share
					whole[g.UUID] += bit(s.Share == 0)
				}
			}
		}
		for _, p := range plan.Place {
			for _, s := range p.Seats {
				if s.Node != name {
					continue
				}
				if n.State != nexus.Ready || s.CPU > 0 && cpu > n.CPU || s.Memory > 0 && memory > n.Memory {
					t.Fatalf("%s on %s, which is %s and gives %s cpus and %s\nfleet before:\n%s", p.Job, name, n.State, cpu, memory, before)
				}
				for _, g := range s.GPUs {
					i := slices.IndexFunc(n.GPUs, func(d nexus.GPU) bool { return d.UUID == g.UUID })
					if i < 0 || n.GPUs[i].Problem != "" || whole[g.UUID] > 1 || whole[g.UUID] == 1 && shares[g.UUID] > 0 || shares[g.UUID] > n.GPUs[i].Usable() {
						t.Fatalf("%s got GPU %d of %s, which is not to be had\nfleet before:\n%s", p.Job, g.Index, name, before)
					}
				}
			}
		}
	}
}

func (w *world) wholeGangs(t *rapid.T, plan nexus.Plan) {
	for _, p := range plan.Place {
		spec := w.jobs[p.Job].Spec
		nodes := map[string]bool{}
		for _, s := range p.Seats {
			nodes[s.Node] = true
			r := spec.Resources
			if !r.GPUs.Auto && !r.Share() && len(s.GPUs) != r.GPUs.N || r.GPUs.Auto && spec.Workers > 0 && len(s.GPUs)%spec.Workers != 0 {
				t.Fatalf("%s asked for %d GPUs and got %d", p.Job, r.GPUs.N, len(s.GPUs))
			}
			if s.Because == "" || s.Workers < 1 || len(s.GPUs) > 0 && len(s.GPUs)%s.Workers != 0 && s.Share == 0 {
				t.Fatalf("%s has an odd seat: %+v", p.Job, s)
			}
		}
		if n := len(nodes); n != len(p.Seats) || n < spec.Nodes.Min || n > spec.Nodes.Max {
			t.Fatalf("a gang of %s nodes got %d seats on %d", spec.Nodes, len(p.Seats), n)
		}
	}
}

func (w *world) fairEvictions(t *rapid.T, before nexus.Snapshot, plan nexus.Plan) {
	for _, v := range plan.Evict {
		victim, winner := w.jobs[v.Job], w.jobs[v.For]
		if lie := w.unripe(victim); lie != "" {
			t.Fatalf("%s is evicted for %s, but %s\nplan:\n%s\nfleet before:\n%s\nqueues: %+v", v.Job, v.For, lie, plan, before, w.queues)
		}
		if v.Nodes > 0 {
			w.fairResize(t, before, plan, v)
			continue
		}
		if _, most := w.bounds(victim); victim.Preemptions >= most && !(winner.Spec.Priority == nexus.Critical && victim.Spec.Priority < nexus.Critical) {
			t.Fatalf("%s is evicted for %s after %d preemptions of %d\nplan:\n%s\nfleet before:\n%s", v.Job, v.For, victim.Preemptions, most, plan, before)
		}
		if victim.Spec.Priority >= winner.Spec.Priority {
			w.takenBack(t, before, victim, winner)
		}
		if len(w.kept[v.For].Seats) == 0 {
			t.Fatalf("%s is evicted for %s, for whom nothing is reserved\nplan:\n%s\nfleet before:\n%s", v.Job, v.For, plan, before)
		}
		// It was needed: with all other victims gone, and it alone staying, the winner would still wait.
		spared := before
		spared.Jobs = slices.DeleteFunc(slices.Clone(before.Jobs), func(j nexus.Job) bool {
			return j.ID != v.For && (j.Phase == nexus.Pending || j.ID != v.Job && slices.ContainsFunc(plan.Evict, func(o nexus.Eviction) bool { return o.Job == j.ID && o.For == v.For }))
		})
		spared.Reserve = nil
		if again := Plan(spared, policy.Default()); len(again.Place) > 0 && again.Place[0].Job == v.For {
			waiting := 0
			for _, j := range before.Jobs {
				waiting += bit(j.Phase == nexus.Pending)
			}
			if waiting == 1 { // with others in line, their claims may take the room

				t.Fatalf("%s was evicted for %s in vain\nplan:\n%s\nfleet before:\n%s", v.Job, v.For, plan, before)
			}
		}
	}
}

// fairResize: an elastic job keeps within what it asked for; it grows, or shrinks for an equal, only after it has run
// for a while and where it loses nothing by that; what it comes back to is kept for it.
func (w *world) fairResize(t *rapid.T, before nexus.Snapshot, plan nexus.Plan, v nexus.Eviction) {
	j, other := w.jobs[v.Job], w.jobs[v.For]
	has, size := len(j.Placement.Seats), j.Spec.Nodes
	_, most := w.bounds(j)
	free := other.Spec.Priority > j.Spec.Priority && (j.Preemptions < most || other.Spec.Priority == nexus.Critical)
	switch {
	case v.Nodes < size.Min || v.Nodes > size.Max || v.Nodes == has || (v.Nodes > has) != (v.For == v.Job):
	case !free && (j.Spec.Checkpoint == nil || j.CheckpointAt.IsZero() || w.at.Sub(j.Started) < policy.ResizeAfter):
	case other.Spec.Priority < j.Spec.Priority:
	case len(w.kept[v.Job].Seats) != v.Nodes || !w.kept[v.Job].Resize || len(w.kept[v.For].Seats) == 0:
	default:
		return
	}
	t.Fatalf("%s of %s nodes is resized from %d to %d for %s after %s\nplan:\n%s\nfleet before:\n%s", v.Job, size, has, v.Nodes, v.For, w.at.Sub(j.Started), plan, before)
}

// set is `--set` for the keys that fixes use.
func set(t fataler, s nexus.Spec, args []string) nexus.Spec {
	for _, arg := range args {
		if err := setOne(&s, arg); err != nil {
			t.Fatalf("%s: %v", arg, err)
		}
	}
	return s
}
