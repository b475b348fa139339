package sched

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ainexus.io/nexus"
	"ainexus.io/sched/policy"
)

// ruler works out what queues hold and may hold with its own eyes: by going through all jobs, again for each
// question. It knows nothing of trees, cells or accounts.
type ruler struct {
	w     *world
	model string // of the quota rows in question; empty: of all GPUs
	res   int
}

func (w *world) queueNamed(name string) (nexus.Queue, bool) {
	for _, q := range w.queues {
		if q.Name == name {
			return q, true
		}
	}
	return nexus.Queue{Name: name}, name == nexus.DefaultQueue
}

func (r ruler) children(name string) (list []string) {
	for _, q := range r.w.queues {
		if q.Parent == name {
			list = append(list, q.Name)
		}
	}
	return list
}

// row is what a queue's own document says; false: nothing.
func (r ruler) row(name string) (int64, bool) {
	q, _ := r.w.queueNamed(name)
	for _, row := range q.Quota {
		switch {
		case row.GPUModel != r.model:
		case r.res == ofGPUs && row.GPUs != nil:
			return int64(*row.GPUs), true
		case r.res == ofShares && row.GPUMemory != nil:
			return int64(*row.GPUMemory), true
		case r.res == ofCPU && row.CPU != nil:
			return int64(*row.CPU), true
		}
	}
	return 0, false
}

// quota is what it is entitled to; false: there is no limit.
func (r ruler) quota(name string) (int64, bool) {
	if n, said := r.below(name); said {
		return n, true
	}
	parent := r.w.parentOf(name)
	if parent == "" {
		return 0, false
	}
	_, limited := r.quota(parent)
	return 0, limited
}

func (r ruler) below(name string) (int64, bool) {
	if n, said := r.row(name); said {
		return n, true
	}
	sum, any := int64(0), false
	for _, child := range r.children(name) {
		if n, said := r.below(child); said {
			sum, any = sum+n, true
		}
	}
	return sum, any
}

func (r ruler) used(name string) (sum int64) {
	for _, j := range r.w.jobs {
		if j.Placement == nil {
			continue
		}
		at := j.Spec.Queue
		for at != "" && at != name {
			at = r.w.parentOf(at)
		}
		if at == name {
			sum += r.of(j)
		}
	}
	return sum
}

// of is what a live job counts for.
func (r ruler) of(j nexus.Job) (sum int64) {
	for _, s := range j.Placement.Seats {
		node := r.w.nodes[s.Node]
		matching := 0
		for _, g := range s.GPUs {
			model := ""
			for _, d := range node.GPUs {
				if d.UUID == g.UUID {
					model = d.Model
				}
			}
			if r.model == "" || r.model == model {
				matching++
			}
		}
		switch {
		case r.res == ofGPUs && s.Share == 0:
			sum += int64(matching)
		case r.res == ofShares && s.Share > 0:
			sum += int64(matching) * int64(s.Share)
		case r.res == ofCPU && (r.model == "" || matching > 0):
			sum += int64(s.CPU)
		}
	}
	return sum
}

// most is what it may hold with all that it may borrow; false: its cohort is the only limit.
func (r ruler) most(name string) (int64, bool) {
	n, limited := r.quota(name)
	q, _ := r.w.queueNamed(name)
	switch {
	case !limited:
		return 0, false
	case q.Parent == "":
		return n, true
	case q.BorrowLimit != nil && (r.res == ofGPUs || *q.BorrowLimit == 0):
		return n + int64(*q.BorrowLimit), true
	}
	return 0, false
}

// kept is what of a queue's quota is idle and not lent.
func (r ruler) kept(name string) int64 {
	n, _ := r.quota(name)
	q, _ := r.w.queueNamed(name)
	if q.LendLimit == nil || r.res != ofGPUs && *q.LendLimit > 0 {
		return 0
	}
	return max(0, max(0, n-int64(*q.LendLimit))-r.used(name))
}

// breach says which limit is broken by a queue holding so much more; empty if none is.
func (r ruler) breach(leaf string, more int64) string {
	if more == 0 {
		return ""
	}
	kept := int64(0)
	for name := leaf; name != ""; name = r.w.parentOf(name) {
		n, limited := r.quota(name)
		if !limited {
			return ""
		}
		used := r.used(name) + more
		if most, is := r.most(name); is && used+kept > most {
			return fmt.Sprintf("queue %s would have %d of at most %d, and %d are kept", name, used, most, kept)
		}
		if used > n && r.w.parentOf(name) != "" {
			for _, sibling := range r.children(r.w.parentOf(name)) {
				if sibling != name {
					kept += r.kept(sibling)
				}
			}
		}
	}
	return ""
}

var quotaModels = []string{"", "A100", "H100"}

// breaches looks at all limits for a job that would hold so much of a model.
func (w *world) breaches(leaf, model string, amount [resources]int64) string {
	for _, m := range quotaModels {
		for res := range amount {
			if m != "" && m != model {
				continue
			}
			if text := (ruler{w, m, res}).breach(leaf, amount[res]); text != "" {
				return text
			}
		}
	}
	return ""
}

// held says that a job could start by quota after all, in which case its reason is a lie.
func (w *world) held(j nexus.Job, r nexus.Reason) string {
	if r.Code == nexus.WaitUser {
		q, _ := w.queueNamed(r.Queue)
		jobs, gpus := 0, int64(0)
		for _, o := range w.jobs {
			if o.Placement != nil && o.User == j.User && o.Spec.Queue == j.Spec.Queue { // the laws set user limits on leaves
				jobs++
				gpus += ruler{w, "", ofGPUs}.of(o)
			}
		}
		if r.Resource == "jobs" && (jobs < q.PerUser.Jobs || int64(jobs) != r.Used) || r.Resource == "gpus" && (gpus+r.Need <= int64(q.PerUser.GPUs) || gpus != r.Used) {
			return fmt.Sprintf("the user has %d jobs with %d GPUs", jobs, gpus)
		}
		return ""
	}
	res := slices.Index(resourceNames[:], r.Resource)
	if got := (ruler{w, r.Model, res}).used(r.Queue); got != r.Used {
		return fmt.Sprintf("its queue has %d", got)
	}
	if r.Job != "" {
		ahead, ok := w.jobs[r.Job]
		if grows := ahead.Stop == nexus.StopResize && ahead.StopFor == ahead.ID; !ok || ahead.Phase != nexus.Pending && !grows {
			return "nobody of that name is ahead of it"
		}
		return ""
	}
	models := map[string]bool{}
	for _, n := range w.nodes {
		for _, d := range n.GPUs {
			if len(j.Spec.Resources.GPUModel) == 0 || slices.Contains(j.Spec.Resources.GPUModel, d.Model) {
				only := j
				only.Spec.Resources.GPUModel = []string{d.Model}
				models[d.Model] = models[d.Model] || w.fits(only, "well", false, false, true) != ""
			}
		}
	}
	want := wants(&j.Spec)
	if j.Spec.Resources.GPUs.Auto {
		return "" // it may take less, in several ways
	}
	if want[ofGPUs]+want[ofShares] == 0 {
		models = map[string]bool{"none": true}
	}
	for model, has := range models {
		if has && w.breaches(j.Spec.Queue, model, want) == "" {
			return fmt.Sprintf("on %s it would be within all quotas", model)
		}
	}
	return ""
}

// anyQueues is an organisation of a few queues.
func anyQueues(t *rapid.T) []nexus.Queue {
	some := func(name string, most int) *int {
		if rapid.IntRange(0, 2).Draw(t, name+" said") == 0 {
			return nil
		}
		n := rapid.IntRange(0, most).Draw(t, name)
		return &n
	}
	parents := map[string][]string{"org": {""}, "mid": {"", "org"}, "a": {"org", "mid", ""}, "b": {"org", "mid"}, "c": {"org"}}
	var queues []nexus.Queue
	bounds := func(q *nexus.Queue) {
		if n := some("min_run_time", 60); n != nil {
			long := nexus.Duration(*n) * nexus.Duration(time.Minute)
			q.MinRunTime = &long
		}
		q.MaxPreemptions = some("max_preemptions", 2)
	}
	for _, name := range []string{"org", "mid", "a", "b", "c"} {
		q := nexus.Queue{Name: name, Parent: rapid.SampledFrom(parents[name]).Draw(t, "parent"), BorrowLimit: some("borrow", 4), LendLimit: some("lend", 3),
			Weight: rapid.IntRange(0, 3).Draw(t, "weight"), Order: rapid.SampledFrom(nexus.QueueOrders()).Draw(t, "order")}
		bounds(&q)
		if n := some("quota", 6); n != nil {
			q.Quota = append(q.Quota, nexus.Quota{GPUs: n})
		}
		if n := some("H100", 4); n != nil && rapid.Bool().Draw(t, "by model") {
			q.Quota = append(q.Quota, nexus.Quota{GPUModel: "H100", GPUs: n})
		}
		if rapid.IntRange(0, 4).Draw(t, "cpu said") == 0 {
			cpu, share := nexus.CPU(1000*rapid.IntRange(0, 6).Draw(t, "cpu")), nexus.MiB(rapid.IntRange(0, 60).Draw(t, "shares"))<<10
			q.Quota = append(q.Quota, nexus.Quota{GPUModel: "A100", CPU: &cpu, GPUMemory: &share})
		}
		if name == "a" || name == "c" {
			q.PerUser = nexus.PerUser{GPUs: rapid.IntRange(0, 3).Draw(t, "user gpus"), Jobs: rapid.IntRange(0, 3).Draw(t, "user jobs")}
		}
		queues = append(queues, q)
	}
	if rapid.Bool().Draw(t, "default says something") {
		q := nexus.Queue{Name: nexus.DefaultQueue}
		bounds(&q)
		queues = append(queues, q)
	}
	return queues
}

// keepsQuota: what a plan placed breaks no limit, counted anew: the jobs placed before it are looked at as
// running, it and those placed after it are not.
func (w *world) keepsQuota(t *rapid.T, before nexus.Snapshot, plan nexus.Plan) {
	if len(w.queues) == 0 {
		return
	}
	started := map[string]nexus.Job{}
	for _, p := range plan.Place {
		started[p.Job] = w.jobs[p.Job]
	}
	all := w.jobs
	defer func() { w.jobs = all }()
	w.jobs = maps.Clone(all)
	for id := range started {
		delete(w.jobs, id)
	}
	for _, p := range plan.Place {
		j := started[p.Job]
		for _, m := range quotaModels {
			for res := range resources {
				r := ruler{w, m, res}
				if text := r.breach(j.Spec.Queue, r.of(j)); text != "" {
					t.Fatalf("%s was placed, and %s (%q, %s)\nplan:\n%s\nfleet before:\n%s\nqueues: %+v", p.Job, text, m, resourceNames[res], plan, before, w.queues)
				}
			}
		}
		w.jobs[p.Job] = j
	}
}

// takenBack: who is evicted without a lower priority stood on more than its queue is entitled to, and who
// it yields to is within what its own is entitled to.
func (w *world) takenBack(t *rapid.T, before nexus.Snapshot, victim, winner nexus.Job) {
	if victim.Spec.Priority > winner.Spec.Priority {
		t.Fatalf("%s (%s) yields to %s (%s)", victim.ID, victim.Spec.Priority, winner.ID, winner.Spec.Priority)
	}
	for _, m := range quotaModels {
		for res := range resources {
			r := ruler{w, m, res}
			n, limited := r.quota(victim.Spec.Queue)
			if limited && r.of(victim) > 0 && r.used(victim.Spec.Queue) > n {
				return
			}
		}
	}
	t.Fatalf("%s yields to %s, its equal, and its queue is within its quota\nfleet before:\n%s", victim.ID, winner.ID, before)
}

// What was lent comes back to whoever is entitled to it, in as many steps as there are borrowers to stop, and
// nobody is evicted in turn (I5). The fleet has as many GPUs as the quotas promise, and jobs take one each: so
// in the end nobody who is entitled waits.
func TestLentCapacityComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld()
		quotas := map[string]int{"a": rapid.IntRange(0, 4).Draw(t, "a"), "b": rapid.IntRange(0, 4).Draw(t, "b"), "c": rapid.IntRange(0, 4).Draw(t, "c")}
		total := 0
		w.queues = []nexus.Queue{{Name: "org"}}
		for _, name := range []string{"a", "b", "c"} {
			n := quotas[name]
			total += n
			w.queues = append(w.queues, nexus.Queue{Name: name, Parent: "org", Quota: []nexus.Quota{{GPUs: &n}}, Weight: rapid.IntRange(1, 3).Draw(t, "weight")})
		}
		node := nexus.Node{Name: "n", State: nexus.Ready, CPU: 64000}
		for i := range total {
			node.GPUs = append(node.GPUs, nexus.GPU{Index: i, UUID: fmt.Sprint("g", i), Model: "A100", Memory: 40 << 10, Free: -1})
		}
		w.setNode(node)
		next := 0
		for range rapid.IntRange(1, 6).Draw(t, "waves") {
			for range rapid.IntRange(0, 8).Draw(t, "jobs") {
				next++
				queue := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "queue")
				w.setJob(readJob(t, w, []string{fmt.Sprintf("j%02d", next), "gpus=1", "cpu=1", "queue=" + queue}))
			}
			for _, id := range slices.Sorted(maps.Keys(w.jobs)) {
				if w.jobs[id].Phase == nexus.Running && rapid.IntRange(0, 3).Draw(t, "finishes") == 0 {
					w.removeJob(id)
				}
			}
			evicted, story := map[string]int{}, fmt.Sprint(quotas)
			for step := 0; ; step++ {
				before := w.snapshot()
				plan := w.step()
				w.apply(plan)
				w.lawful(t, before, plan)
				w.keepsQuota(t, before, plan)
				story += "\n" + plan.String() + w.snapshot().String()
				for _, v := range plan.Evict {
					if evicted[v.Job]++; evicted[v.Job] > 1 {
						t.Fatalf("%s is evicted again\n%s", v.Job, story)
					}
				}
				if len(plan.Evict)+len(plan.Place) == 0 && !w.anyStopping() {
					break
				}
				if step > 2*len(w.jobs)+4 {
					t.Fatalf("no end of it\n%s", story)
				}
				for _, id := range slices.Sorted(maps.Keys(w.jobs)) { // they leave one by one, in any order
					if w.jobs[id].Phase == nexus.Stopping && (rapid.Bool().Draw(t, "leaves") || step > len(w.jobs)) {
						w.pend(id, func(j *nexus.Job) { j.Preemptions++ })
					}
				}
				w.at = w.at.Add(time.Minute)
			}
			for id, j := range w.jobs {
				if r := (ruler{w, "", ofGPUs}); j.Phase == nexus.Pending && r.used(j.Spec.Queue) < int64(quotas[j.Spec.Queue]) {
					t.Fatalf("%s waits, though its queue is entitled to more: %+v\n%s", id, w.reasons[id], story)
				}
			}
		}
	})
}

func (w *world) anyStopping() bool {
	for _, j := range w.jobs {
		if j.Phase == nexus.Stopping {
			return true
		}
	}
	return false
}

// A long line of jobs from few queues is put in order by shares as it would be one turn at a time.
func BenchmarkTurns(b *testing.B) {
	s := fleetFor(100, 100000)
	s.Queues = []nexus.Queue{{Name: "org"}}
	for i := range 20 {
		n := 10
		s.Queues = append(s.Queues, nexus.Queue{Name: fmt.Sprint("q", i), Parent: "org", Quota: []nexus.Quota{{GPUs: &n}}})
	}
	for i := range s.Jobs {
		s.Jobs[i].Spec.Queue = fmt.Sprint("q", i%20)
	}
	p := New(policy.Default())
	p.observe(everything(s), s.At)
	for b.Loop() {
		newCycle(p, newBars()).order()
	}
}
