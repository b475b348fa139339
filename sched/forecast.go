package sched

import (
	"cmp"
	"slices"

	"ainexus.io/nexus"
	"ainexus.io/sched/policy"
)

// WouldPlace is what would become of a job if it were submitted now: the plan for the snapshot with the job in it, as
// far as it is about that job. It must be Pending, with an id that no other has.
func WouldPlace(s nexus.Snapshot, p policy.Policy, j nexus.Job) nexus.Forecast {
	s.Jobs = append(slices.Clone(s.Jobs), j)
	plan := Plan(s, p)
	f := nexus.Forecast{}
	if m := j.Member; m != nil {
		f.Members = m.Size
	}
	for i := range plan.Place {
		if plan.Place[i].Job == j.ID {
			f.Placement = &plan.Place[i]
			return f
		}
	}
	x := Explain(s, p)
	for _, v := range plan.Evict {
		if other := x.jobs[v.Job]; v.For == j.ID {
			f.Evict = append(f.Evict, nexus.Victim{Job: v.Job, Name: other.Spec.Name, User: other.User, Nodes: v.Nodes})
		}
	}
	slices.SortFunc(f.Evict, func(a, b nexus.Victim) int { return cmp.Compare(a.Job, b.Job) })
	for _, r := range plan.Reserve {
		if r.Job == j.ID {
			f.Reserve = r.Seats
		}
	}
	if why, err := x.Why(j.ID); err == nil {
		f.Why = &why
	}
	return f
}
