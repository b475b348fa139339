package kube

import (
	"context"
	"maps"
	"slices"
	"time"

	"ainexus.io/nexus"
)

// present is a node as the planner is to see it now.
func (v *view) present(name string) (nexus.Node, bool) {
	n, ok := v.nodes[name]
	if !ok {
		return n, false
	}
	var strangers []*pod
	for _, key := range slices.Sorted(maps.Keys(v.hosted[name])) {
		p := v.hosted[name][key]
		if r := v.jobs[p.job]; p.job == "" || r == nil || !r.job.Phase.Live() || r.job.Attempt != p.attempt || !seatedAt(&r.job, name) {
			strangers = append(strangers, p)
		}
	}
	n = v.withShared(n)
	if len(strangers) == 0 {
		return n, true
	}
	if v.cards[name] {
		n = lent(n, strangers)
	}
	return occupied(n, strangers, v.ours(name)), true
}

// ours are the GPUs of a node that jobs of ours have.
func (v *view) ours(node string) map[int]bool {
	ours := map[int]bool{}
	for _, r := range v.seated[node] {
		for _, s := range r.job.Placement.Seats {
			if s.Node == node {
				for _, g := range s.GPUs {
					ours[g.Index] = true
				}
			}
		}
	}
	return ours
}

// delta is what was not told yet.
func (v *view) delta() nexus.Delta {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.told && len(v.dirtyJobs)+len(v.dirtyNodes) == 0 && !v.planted && v.lessons.told == nil {
		return nexus.Delta{Version: v.version}
	}
	d := nexus.Delta{Full: !v.told}
	if d.Full {
		v.told, v.planted = true, true
		v.recall()
		for id := range v.jobs {
			v.dirtyJobs[id] = true
		}
		for name := range v.nodes {
			v.dirtyNodes[name] = true
		}
	}
	for _, id := range slices.Sorted(maps.Keys(v.dirtyJobs)) {
		if r := v.jobs[id]; r != nil && r.wrong == nil && !r.job.Phase.Over() && !isArray(&r.job) {
			d.Jobs = append(d.Jobs, forPlanner(titled(r.object, r.job)))
			if kept := r.object.Status.Reserved; kept != nil && d.Full {
				d.Reserve = append(d.Reserve, nexus.Reservation{Job: id, Since: kept.Since.Time, Seats: seatsOf(kept.Seats), Resize: kept.Resize})
			}
		} else if !d.Full {
			d.GoneJobs = append(d.GoneJobs, id)
		}
	}
	for name := range v.dirtyNodes {
		n, ok := v.present(name)
		before, had := v.shown[name]
		switch {
		case ok && (!had || !sameNode(&before, &n) || d.Full):
			d.Nodes, v.shown[name] = append(d.Nodes, n), n
		case !ok && had:
			d.GoneNodes = append(d.GoneNodes, name)
			delete(v.shown, name)
		}
	}
	slices.SortFunc(d.Nodes, byName)
	slices.Sort(d.GoneNodes)
	if v.planted {
		for _, name := range slices.Sorted(maps.Keys(v.queues)) {
			d.Queues = append(d.Queues, v.queues[name])
		}
	}
	clear(v.dirtyJobs)
	clear(v.dirtyNodes)
	v.planted = false
	d.History, v.lessons.told = v.lessons.told, nil
	if d.Empty() {
		return nexus.Delta{Version: v.version}
	}
	v.version++
	d.Version = v.version
	return d
}

// wait gives the next delta, or an empty one when patience is over; a negative patience has no end.
func (v *view) wait(ctx context.Context, patience time.Duration) (nexus.Delta, error) {
	var over <-chan time.Time
	if patience >= 0 {
		timer := time.NewTimer(patience)
		defer timer.Stop()
		over = timer.C
	}
	for {
		if d := v.delta(); !d.Empty() {
			return d, nil
		}
		select {
		case <-v.bell:
		case <-over:
			return v.delta(), nil
		case <-ctx.Done():
			return nexus.Delta{}, ctx.Err()
		}
	}
}
