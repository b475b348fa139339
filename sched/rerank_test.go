package sched

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ainexus.io/nexus"
	"ainexus.io/sched/ledger"
	"ainexus.io/sched/policy"
)

// Who has to go when it is chosen anew who runs is who a dumb twin says, which keeps nothing between steps and looks at every
// node for everybody.
func TestRerankTwin(t *testing.T) {
	asked, evicted := 0, 0
	story := func(t *rapid.T) {
		p := policy.Policy{Rerank: true, Claims: -1, Place: policy.ByBestFit, Rank: rapid.SampledFrom([]policy.Rank{policy.ByAttained, policy.ByRemaining}).Draw(t, "rank")}
		p.Whole = func(job string) time.Duration { return time.Duration(len(job)*int(job[len(job)-1])%50) * time.Minute }
		clever, last := New(p), nexus.Snapshot{}
		life(t, everyKind(), func(w *world, _ nexus.Snapshot, _ nexus.Plan) {
			s := w.snapshot()
			clever.observe(since(last, s), w.at)
			want := rerankPlainly(clever)
			got := clever.rerank()
			asked++
			evicted += len(got)
			if !slices.Equal(got, want) {
				t.Fatalf("evicts %v, not %v\n%s", got, want, s)
			}
			for _, v := range got {
				clever.Drop(v.Job)
			}
			last = s
		})
	}
	rapid.Check(t, story)
	if evicted == 0 {
		t.Fatal("nobody was evicted: that means nothing")
	}
	t.Logf("%d evicted in %d steps", evicted, asked)
}

// since is what changed from one snapshot to another.
func since(last, s nexus.Snapshot) nexus.Delta {
	d := nexus.Delta{Full: last.At.IsZero(), Queues: s.Queues}
	for _, j := range s.Jobs {
		if !slices.ContainsFunc(last.Jobs, func(o nexus.Job) bool { return reflect.DeepEqual(o, j) }) {
			d.Jobs = append(d.Jobs, j)
		}
	}
	for _, j := range last.Jobs {
		if !slices.ContainsFunc(s.Jobs, func(o nexus.Job) bool { return o.ID == j.ID }) {
			d.GoneJobs = append(d.GoneJobs, j.ID)
		}
	}
	for _, n := range s.Nodes {
		if !slices.ContainsFunc(last.Nodes, func(o nexus.Node) bool { return reflect.DeepEqual(o, n) }) {
			d.Nodes = append(d.Nodes, n)
		}
	}
	for _, n := range last.Nodes {
		if !slices.ContainsFunc(s.Nodes, func(o nexus.Node) bool { return o.Name == n.Name }) {
			d.GoneNodes = append(d.GoneNodes, n.Name)
		}
	}
	return d
}

// rerankPlainly is the twin. It changes nothing.
func rerankPlainly(p *Planner) (evict []nexus.Eviction) {
	p.index.sync()
	var ranked []*entry
	keys := map[*entry]time.Duration{}
	for _, e := range p.jobs {
		if p.competes(e) {
			ranked, keys[e] = append(ranked, e), p.keyOf(&e.job)
		}
	}
	slices.SortFunc(ranked, func(a, b *entry) int {
		return cmp.Or(cmp.Compare(b.job.Spec.Priority, a.job.Spec.Priority), cmp.Compare(keys[a], keys[b]),
			a.job.Submitted.Compare(b.job.Submitted), strings.Compare(a.job.ID, b.job.ID))
	})
	best, all := map[string]*ledger.Sheet{}, map[string]*ledger.Sheet{}
	for _, name := range p.now.Names() {
		best[name], all[name] = &ledger.Sheet{}, &ledger.Sheet{}
		p.now.Copy(name, best[name])
		p.now.Copy(name, all[name])
	}
	seats := func(e *entry, do func(s *nexus.Seat)) {
		for i := range e.job.Placement.Seats {
			if s := &e.job.Placement.Seats[i]; p.now.Node(s.Node) != nil {
				do(s)
			}
		}
	}
	for _, e := range ranked {
		if e.job.Placement != nil {
			seats(e, func(s *nexus.Seat) { best[s.Node].Give(s) })
		}
	}
	winner, full := "", map[*form]bool{}
	var room ledger.Room
	look := func(e *entry, sheets map[string]*ledger.Sheet) (chosen []nexus.Seat) {
		var found []candidate
		for slot, name := range p.now.Names() {
			if sheets[name].Room(&room); p.now.Node(name).State == nexus.Ready {
				if rank, ok := p.index.picker.rate(&room, &e.form.spec); ok {
					found = append(found, candidate{slot, p.now.Node(name), rank})
				}
			}
		}
		for _, o := range choose(found, &e.form.spec) {
			sheets[o.node.Name].Room(&room)
			made, _ := p.index.picker.seat(&room, &e.form.spec)
			chosen = append(chosen, made.seat)
		}
		return chosen
	}
	for _, e := range ranked {
		if e.job.Placement == nil {
			if full[e.form] {
				continue
			}
			chosen, displaces := look(e, all), false
			if chosen == nil {
				chosen, displaces = look(e, best), true
			}
			full[e.form] = chosen == nil
			for i := range chosen {
				best[chosen[i].Node].Take(&chosen[i])
				all[chosen[i].Node].Take(&chosen[i])
			}
			if displaces && chosen != nil && winner == "" {
				winner = e.job.ID
			}
			continue
		}
		fits := true
		seats(e, func(s *nexus.Seat) {
			best[s.Node].Room(&room)
			fits = fits && room.Takes(*s)
		})
		seats(e, func(s *nexus.Seat) {
			if fits {
				best[s.Node].Take(s)
			} else {
				all[s.Node].Give(s)
			}
		})
		if !fits {
			evict = append(evict, nexus.Eviction{Job: e.job.ID, Attempt: e.job.Attempt, For: winner})
		}
	}
	return evict
}
