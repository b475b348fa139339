package kube

import (
	"cmp"
	"slices"
	"time"

	"ainexus.io/nexus"
)

// Why a job waits is written when the reason is another. Its numbers change more often: with each job that starts or
// ends, for all who wait. They are written anew at most once a minute for a job, and for so many jobs at a time that the
// API server is not kept busy by it, whoever was told longest ago first.
const (
	refreshEvery = 5 * time.Second
	refreshMost  = 25 // jobs at a time
	refreshAge   = time.Minute
)

// refresh has numbers written anew until the place stops.
func (p *Place) refresh() {
	tick := time.NewTicker(refreshEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			for _, id := range p.view.outdated(p.Now()) {
				p.queue.Add(id)
			}
		case <-p.ctx.Done():
			return
		}
	}
}

// outdated chooses the jobs whose numbers are to be written now.
func (v *view) outdated(at time.Time) []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	var ids []string
	for id, r := range v.jobs {
		if r.stale && r.held && !at.Before(r.written.Add(refreshAge)) {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b string) int {
		return cmp.Or(v.jobs[a].written.Compare(v.jobs[b].written), cmp.Compare(a, b))
	})
	ids = ids[:min(len(ids), refreshMost)]
	for _, id := range ids {
		v.jobs[id].asked = true
	}
	return ids
}

// toldHold notes that a reason was written, or was right.
func (v *view) toldHold(id string, told nexus.Reason, at time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if r := v.jobs[id]; r != nil {
		r.stale, r.asked, r.written = r.hold != told, false, at
	}
}
