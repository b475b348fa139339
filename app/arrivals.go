package app

import (
	"ainexus.io/cluster/sim/trace"
	"ainexus.io/nexus"
	"ainexus.io/sched/policy"
)

// Inputs are what the run is made of, for who turns the planner himself: the pods in the order in which they arrive, the
// machines, and the policy with what it may know. Errors are [nexus.Error].
func (f Fragmentation) Inputs() ([]trace.Job, []nexus.Node, policy.Policy, error) {
	pods, nodes, err := arrivals(f.Pods, f.Nodes, f.Seed)
	if err != nil {
		return nil, nil, policy.Policy{}, err
	}
	p, err := choose(f.Policy, f.knowledge())
	return pods, nodes, p, err
}

// knowledge is what the policy of the run is told beforehand.
func (f Fragmentation) knowledge() knowledge {
	know := knowledge{moves: f.Moves}
	if f.Known {
		for _, p := range f.Pods {
			know.mix = append(know.mix, p.Spec(0))
		}
	}
	return know
}
