package local

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"ainexus.io/cluster/local/store"
	"ainexus.io/nexus"
)

// view is what is not over, in memory, and what of it the planner has not heard of yet.
type view struct {
	mu      sync.Mutex
	node    nexus.Node
	live    map[string]store.Record
	holds   map[string]nexus.Reason
	starts  map[string]nexus.Estimate // as first told, of those who wait for their turn
	counts  map[nexus.Phase]int
	version uint64
	told    bool            // a full delta was given
	jobs    map[string]bool // ids to be told
	queues  []nexus.Queue   // by name
	uses    map[userOf]nexus.QueueUse
	history *nexus.History
	taught  bool          // the history is to be told
	planted bool          // the queues are to be told
	used    bool          // the uses are to be told
	nodes   bool          // the node is to be told
	bell    chan struct{} // cap 1: there is something to be told
}

func newView(node nexus.Node, live []store.Record, counts map[nexus.Phase]int) *view {
	v := &view{node: node, live: make(map[string]store.Record, len(live)), holds: map[string]nexus.Reason{}, starts: map[string]nexus.Estimate{}, counts: counts,
		jobs: map[string]bool{}, uses: map[userOf]nexus.QueueUse{}, bell: make(chan struct{}, 1)}
	for _, r := range live {
		v.live[r.Job.ID] = r
	}
	v.setQueues(nil)
	return v
}

// follow takes in what was committed.
func (v *view) follow(records []store.Record) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, r := range records {
		id, phase := r.Job.ID, r.Job.Phase
		if r.Was != "" {
			v.counts[r.Was]--
		}
		v.counts[phase]++
		v.jobs[id] = true
		if phase != nexus.Pending {
			delete(v.holds, id)
			delete(v.starts, id)
		}
		if phase.Over() {
			delete(v.live, id)
		} else {
			v.live[id] = r
		}
	}
	if len(records) > 0 {
		v.ring()
	}
}

// answer has these jobs told again, as they now stand.
func (v *view) answer(ids ...string) {
	if len(ids) == 0 {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, id := range ids {
		v.jobs[id] = true
	}
	v.ring()
}

// setGPUs replaces the devices of the node and has it told.
func (v *view) setGPUs(gpus []nexus.GPU) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.node.GPUs, v.nodes = gpus, true
	v.ring()
}

// hold remembers why jobs wait and gives those whose kind of reason changed.
func (v *view) hold(holds []nexus.Hold) (changed []nexus.Hold) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, h := range holds {
		r, ok := v.live[h.Job]
		if !ok || r.Job.Phase != nexus.Pending {
			continue
		}
		if v.holds[h.Job].Code != h.Reason.Code {
			changed = append(changed, h)
		}
		v.holds[h.Job] = h.Reason
		switch {
		case h.Start != nil:
			v.starts[h.Job] = *h.Start
		case !h.Reason.Code.InLine():
			delete(v.starts, h.Job)
		}
	}
	return changed
}

// expected gives what was foretold of jobs that are about to start.
func (v *view) expected(placed []nexus.Placement) map[string]nexus.Estimate {
	v.mu.Lock()
	defer v.mu.Unlock()
	starts := map[string]nexus.Estimate{}
	for _, d := range placed {
		if e, ok := v.starts[d.Job]; ok {
			starts[d.Job] = e
		}
	}
	return starts
}

// setHistory replaces what past jobs taught and has it told.
func (v *view) setHistory(h *nexus.History) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.history != nil && v.history.Version > h.Version { // two learnt at once
		return
	}
	v.history, v.taught = h, true
	v.ring()
}

func (v *view) ring() {
	select {
	case v.bell <- struct{}{}:
	default:
	}
}

// delta is what was not told yet; ok is false when there is nothing.
func (v *view) delta() (d nexus.Delta, ok bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.told && len(v.jobs) == 0 && !v.nodes && !v.planted && !v.used && !v.taught {
		return nexus.Delta{Version: v.version}, false
	}
	v.version++
	d = nexus.Delta{Version: v.version}
	if !v.told {
		d.Full, v.planted, v.used = true, true, true
		for _, r := range v.live {
			d.Jobs = append(d.Jobs, r.Job.Asks())
		}
	} else {
		for id := range v.jobs {
			if r, live := v.live[id]; live {
				d.Jobs = append(d.Jobs, r.Job.Asks())
			} else {
				d.GoneJobs = append(d.GoneJobs, id)
			}
		}
	}
	if v.nodes || !v.told {
		node := v.node
		node.GPUs = slices.Clone(node.GPUs)
		d.Nodes = []nexus.Node{node}
	}
	if v.planted {
		d.Queues = slices.Clone(v.queues)
	}
	if v.used {
		d.Use = v.listUses()
	}
	if v.taught {
		d.History = v.history
	}
	v.told, v.nodes, v.planted, v.used, v.taught = true, false, false, false, false
	clear(v.jobs)
	return d, true
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
		if d, ok := v.delta(); ok {
			return d, nil
		}
		select {
		case <-v.bell:
		case <-over:
			d, _ := v.delta()
			return d, nil
		case <-ctx.Done():
			return nexus.Delta{}, ctx.Err()
		}
	}
}

// get gives a job that is not over.
func (v *view) get(id string) (store.Record, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	r, ok := v.live[id]
	return r, ok
}

// records gives every job that is not over.
func (v *view) records() []store.Record {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Collect(maps.Values(v.live))
}

func (v *view) reason(id string) (nexus.Reason, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	r, ok := v.holds[id]
	return r, ok
}

func (v *view) machine() nexus.Node {
	v.mu.Lock()
	defer v.mu.Unlock()
	node := v.node
	node.GPUs = slices.Clone(node.GPUs)
	return node
}

func (v *view) size() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.live)
}

func (v *view) counted() map[nexus.Phase]int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return maps.Clone(v.counts)
}

// forgot takes note of jobs whose records were dropped.
func (v *view) forgot(dropped map[nexus.Phase]int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for phase, n := range dropped {
		v.counts[phase] -= n
	}
}
