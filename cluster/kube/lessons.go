package kube

import (
	"cmp"
	"slices"

	"ainexus.io/cluster/kube/v1alpha1"
	"ainexus.io/nexus"
	"ainexus.io/sched/policy"
)

// What jobs teach about how long their like run is learnt from the records of those that are over, as long as they are kept: a
// controller that starts reads it from them, and nothing is written for it. How far estimates of waits were off it learns while it lives.

// lessons is what was learnt.
type lessons struct {
	learner policy.Learner
	told    *nexus.History // to be told to the planner; nil: nothing is
}

// learn takes something in.
func (l *lessons) learn(in func(*policy.Learner)) {
	in(&l.learner)
	if news := l.learner.News(); news != nil {
		l.told = news
	}
}

// recall learns from all records that there are, the oldest first, when they are told for the first time.
func (v *view) recall() {
	var over []*record
	for _, r := range v.jobs {
		if r.job.Phase.Over() {
			over = append(over, r)
		}
	}
	slices.SortFunc(over, func(a, b *record) int {
		return cmp.Or(a.job.Finished.Compare(b.job.Finished), cmp.Compare(a.job.ID, b.job.ID))
	})
	for _, r := range over {
		v.lessons.over(r)
	}
	if v.lessons.learner.History.Version > 0 {
		v.lessons.told = v.lessons.learner.History.Clone()
	}
}

// over learns from a job that is over.
func (l *lessons) over(r *record) {
	is := titled(r.object, r.job)
	l.learn(func(to *policy.Learner) { to.Over(&is) })
}

// titled has a job be called as in its job file, where the command line made up another name for each submit.
func titled(o *v1alpha1.NexusJob, j nexus.Job) nexus.Job {
	j.Spec.Name = cmp.Or(o.Labels[LabelTitle], j.Spec.Name)
	return j
}
