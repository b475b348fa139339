package engine

import (
	"slices"

	"ainexus.io/nexus"
)

// verify takes out of a plan each decision whose basis moved while it was made, and names the jobs it was
// about. Nothing is decided anew: that is the next cycle's business.
func verify(plan nexus.Plan, fresh nexus.Delta) (nexus.Plan, []string) {
	if fresh.Empty() {
		return plan, nil
	}
	if fresh.Full {
		return nexus.Plan{Version: plan.Version, At: plan.At, Wake: plan.Wake}, decided(plan)
	}
	moved := map[string]bool{}
	for i := range fresh.Jobs {
		moved[fresh.Jobs[i].ID] = true
	}
	for _, id := range fresh.GoneJobs {
		moved[id] = true
	}
	nodes := map[string]*nexus.Node{}
	for i := range fresh.Nodes {
		nodes[fresh.Nodes[i].Name] = &fresh.Nodes[i]
	}
	for _, name := range fresh.GoneNodes {
		nodes[name] = nil
	}
	var dropped []string
	plan.Place = slices.DeleteFunc(slices.Clone(plan.Place), func(p nexus.Placement) bool {
		bad := moved[p.Job] || slices.ContainsFunc(p.Seats, func(s nexus.Seat) bool {
			n, changed := nodes[s.Node]
			return changed && !stands(s, n)
		})
		if bad {
			dropped = append(dropped, p.Job)
		}
		return bad
	})
	plan.Evict = slices.DeleteFunc(slices.Clone(plan.Evict), func(v nexus.Eviction) bool {
		bad := moved[v.Job] || moved[v.For]
		if bad {
			dropped = append(dropped, v.Job)
		}
		return bad
	})
	return plan, dropped
}

// stands reports whether a node still has what a seat was given of it.
func stands(s nexus.Seat, n *nexus.Node) bool {
	if n == nil || n.State != nexus.Ready || s.CPU > n.CPU || s.Memory > n.Memory {
		return false
	}
	for _, g := range s.GPUs {
		ok := slices.ContainsFunc(n.GPUs, func(d nexus.GPU) bool {
			return d.Index == g.Index && d.UUID == g.UUID && d.Problem == "" && s.Share <= d.Usable()
		})
		if !ok {
			return false
		}
	}
	return true
}

// decided names the jobs that a plan places or evicts.
func decided(plan nexus.Plan) []string {
	var jobs []string
	for _, p := range plan.Place {
		jobs = append(jobs, p.Job)
	}
	for _, v := range plan.Evict {
		jobs = append(jobs, v.Job)
	}
	return jobs
}
