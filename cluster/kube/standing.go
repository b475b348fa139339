package kube

import (
	"maps"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"

	"ainexus.io/nexus"
)

// standing is all that is known of a job's living or last attempt.
type standing struct {
	record
	batch *batchv1.Job // nil: there is none
	pods  []*pod
	left  []*ending // of pods that are gone
	// stale are Jobs that have not ended though their attempt has, and haunted says that pods of an earlier attempt have
	// not: somebody wrote over the record.
	stale   []*batchv1.Job
	haunted bool
	// lost are those of the pods that are given up (lost.go).
	lost map[*pod]bool
}

// still reports whether a record is of the same attempt, and in that phase: else what was looked at has moved.
func (s *standing) still(r *record, phase nexus.Phase) bool {
	return r.job.Phase == phase && r.job.Attempt == s.job.Attempt
}

// endings are how the containers of an attempt ended, as far as they have.
func (s *standing) endings() []*ending {
	list := slices.Clone(s.left)
	for _, p := range s.pods {
		if p.end != nil {
			list = append(list, p.end)
		}
	}
	return list
}

// look gives how a job stands at a time; false where it is gone.
func (v *view) look(id string, at time.Time) (standing, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	r := v.jobs[id]
	if r == nil {
		return standing{}, false
	}
	s := standing{record: *r, batch: v.batch[id][r.job.Attempt], lost: map[*pod]bool{}}
	for _, number := range slices.Sorted(maps.Keys(v.batch[id])) {
		if j := v.batch[id][number]; !ended(j) && (number != r.job.Attempt || !r.job.Phase.Live()) {
			s.stale = append(s.stale, j)
		}
	}
	for number := 1; number < r.job.Attempt; number++ {
		for _, p := range v.members[attempt{id, number}] {
			s.haunted = s.haunted || !p.over && !v.givenUp(p, at)
		}
	}
	a := attempt{id, r.job.Attempt}
	for _, key := range slices.Sorted(maps.Keys(v.members[a])) {
		p := v.members[a][key]
		s.pods, s.lost[p] = append(s.pods, p), v.givenUp(p, at)
	}
	s.left = v.left[id][r.job.Attempt]
	return s, true
}

// makes says that the Job of an attempt is being created.
func (v *view) makes(id string, number int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if r := v.jobs[id]; r != nil {
		r.made, r.placed = max(r.made, number), 0
	}
}

// placing says that we are recording an attempt.
func (v *view) placing(id string, number int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if r := v.jobs[id]; r != nil {
		r.placed = number
	}
}

// unmakes takes back that the Job of an attempt is being created.
func (v *view) unmakes(id string, number int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if r := v.jobs[id]; r != nil && r.made == number {
		r.made = number - 1
	}
}
