package sched

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ainexus.io/nexus"
	"ainexus.io/sched/policy"
)

// The dumb twin of the planner tries everything, on fleets where everything is not much.

// twinWorld is a small fleet with at most six live jobs, each where it happened to fit.
func twinWorld(t *rapid.T) *world {
	w := newWorld()
	for i := range rapid.IntRange(1, 3).Draw(t, "nodes") {
		n := anyNode(t, fmt.Sprintf("n%d", i))
		n.State = nexus.Ready
		w.setNode(n)
	}
	for i := range rapid.SampledFrom([]int{6, 5, 4, 3, 2, 1, 0}).Draw(t, "live") {
		j := anyJob(t, fmt.Sprintf("live%d", i), w.at)
		j.Spec.Queue, j.Member, j.Spec.Nodes, j.Spec.Topology = "default", nil, nexus.Range{Min: 1, Max: 1}, nexus.Topology{}
		p := Plan(nexus.Snapshot{At: w.at, Nodes: w.snapshot().Nodes, Jobs: append(w.snapshot().Jobs, j)}, policy.Default()).Place
		if k := slices.IndexFunc(p, func(p nexus.Placement) bool { return p.Job == j.ID }); k >= 0 {
			j.Phase, j.Placement, j.Attempt, j.Started = nexus.Running, &p[k], 1, w.at.Add(-time.Hour)
			w.setJob(j)
		}
	}
	return w
}

// without is the world once some jobs have left.
func (w *world) without(gone []string) *world {
	o := newWorld()
	o.nodes = w.nodes
	for id, j := range w.jobs {
		if !slices.Contains(gone, id) {
			o.jobs[id] = j
		}
	}
	return o
}

// couldStart tries every set of as many nodes as the job needs at least.
func (w *world) couldStart(j nexus.Job) bool {
	names := []string{}
	for name := range w.nodes {
		names = append(names, name)
	}
	slices.Sort(names)
	need := max(1, j.Spec.Nodes.Min)
	for set := range 1 << len(names) {
		var racks []string
		size := 0
		all := true
		for i, name := range names {
			if set&(1<<i) == 0 {
				continue
			}
			size++
			all = all && w.nodes[name].State == nexus.Ready && w.seatThere(j.Spec, name, false, false)
			racks = append(racks, w.nodes[name].Rack)
		}
		slices.Sort(racks)
		together := len(slices.Compact(racks)) == 1 && racks[0] != ""
		if all && size == need && (need == 1 || j.Spec.Topology.Require != nexus.LevelRack || together) {
			return true
		}
	}
	return false
}

// A job with nobody else in line is placed if and only if it fits somewhere, gangs and those that have to be in one rack
// too; who is evicted for it is enough, and for a job of one node nobody cheaper would have done: by the highest priority
// among them first, then by how many they are.
func TestTwin(t *testing.T) {
	placed, evicted, waited := 0, 0, 0
	story := func(t *rapid.T) {
		w := twinWorld(t)
		j := anyJob(t, "j", w.at)
		j.Spec.Queue, j.Member = "default", nil
		j.Spec.Priority = rapid.SampledFrom([]nexus.Priority{nexus.High, nexus.Critical, nexus.Normal, nexus.Low}).Draw(t, "urgency")
		w.setJob(j)
		plan := Plan(w.snapshot(), policy.Default())
		got := slices.ContainsFunc(plan.Place, func(p nexus.Placement) bool { return p.Job == "j" })
		if could := w.couldStart(j); could != got {
			t.Fatalf("placed: %v; fits: %v\nplan:\n%s\nfleet:\n%s", got, could, plan, w.snapshot())
		}
		if got {
			placed++
			return
		}
		waited++
		var chosen []string
		for _, v := range plan.Evict {
			chosen = append(chosen, v.Job)
		}
		evicted += len(chosen)
		best, found := w.cheapest(j)
		switch {
		case found != (len(chosen) > 0):
			t.Fatalf("evicted %v; by trying all, %v would do: %v\nplan:\n%s\nfleet:\n%s", chosen, best, found, plan, w.snapshot())
		case !found:
		case !w.without(chosen).couldStart(j):
			t.Fatalf("with %v gone it still does not fit\nfleet:\n%s", chosen, w.snapshot())
		case j.Spec.Nodes.Min == 1 && cheaper(w.price(best), w.price(chosen)):
			t.Fatalf("evicted %v, and %v would have done\nplan:\n%s\nfleet:\n%s", chosen, best, plan, w.snapshot())
		}
		for i := range chosen { // nobody leaves in vain
			rest := slices.Delete(slices.Clone(chosen), i, i+1)
			if w.without(rest).couldStart(j) {
				t.Fatalf("%v are evicted, and without %s it would do too\nfleet:\n%s", chosen, chosen[i], w.snapshot())
			}
		}
	}
	for range 3 {
		rapid.Check(t, story)
	}
	if placed == 0 || evicted == 0 || waited == 0 {
		t.Fatalf("%d were placed, %d waited and %d evicted: that means nothing", placed, waited, evicted)
	}
	t.Logf("%d placed, %d waited, %d evicted", placed, waited, evicted)
}

// price is the worst priority and the number of some jobs.
func (w *world) price(ids []string) [2]int {
	p := [2]int{int(nexus.Low) - 1, len(ids)}
	for _, id := range ids {
		p[0] = max(p[0], int(w.jobs[id].Spec.Priority))
	}
	return p
}

func cheaper(a, b [2]int) bool { return slices.Compare(a[:], b[:]) < 0 }

// cheapest tries every set of live jobs of lower priority.
func (w *world) cheapest(j nexus.Job) (best []string, found bool) {
	var may []string
	for id, v := range w.jobs {
		if v.Placement != nil && v.Spec.Priority < j.Spec.Priority {
			may = append(may, id)
		}
	}
	slices.Sort(may)
	for set := 1; set < 1<<len(may); set++ {
		var gone []string
		for i, id := range may {
			if set&(1<<i) != 0 {
				gone = append(gone, id)
			}
		}
		if (!found || cheaper(w.price(gone), w.price(best))) && w.without(gone).couldStart(j) {
			best, found = gone, true
		}
	}
	return best, found
}
