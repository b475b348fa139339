package kube

import (
	"cmp"
	"math"
	"slices"
	"time"

	"ainexus.io/nexus"
)

// Why a job waits is written when the reason is another. Its numbers change more often, and where it stands in line: with
// each job that starts or ends, for all who wait. They are written anew at most once a minute for a job, a first date at once, and
// for so many jobs at a time that the API server is not kept busy by it: half of them those that are next, half whoever was
// told longest ago.
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
		if r.held && r.outdated(at, !v.pruned) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	if len(ids) > refreshMost {
		slices.SortStableFunc(ids, func(a, b string) int { return cmp.Compare(v.jobs[a].place(), v.jobs[b].place()) })
		slices.SortStableFunc(ids[refreshMost/2:], func(a, b string) int { return v.jobs[a].written.Compare(v.jobs[b].written) })
		ids = ids[:refreshMost]
	}
	for _, id := range ids {
		v.jobs[id].asked = true
	}
	return ids
}

// outdated reports whether what was written of a job is to be written anew.
func (r *record) outdated(at time.Time, lines bool) bool {
	told, age := r.object.Status.Line, refreshAge
	moved := lines && news(told, r.line)
	if r.wrong != nil || !r.stale && !moved {
		return false
	}
	if moved && r.line != nil && (told == nil || dated(told) == [2]bool{} && dated(r.line) != [2]bool{}) {
		age = refreshEvery
	}
	return !at.Before(r.written.Add(age))
}

// place is where it stands, last where nobody knows.
func (r *record) place() int {
	if r.line == nil {
		return math.MaxInt
	}
	return r.line.Place
}

// toldHold notes that a reason was written, or was right.
func (v *view) toldHold(id string, told nexus.Reason, at time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if r := v.jobs[id]; r != nil {
		r.stale, r.asked, r.written = r.hold != told, false, at
	}
}
