package sim

import (
	"context"
	"fmt"
	"slices"

	"ainexus.io/nexus"
)

// Apply carries out a plan. A decision about a job or node that is not as the plan thought is dropped; in
// any case its job comes back in the next delta.
func (s *Sim) Apply(ctx context.Context, plan nexus.Plan) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range plan.Evict {
		j := s.jobs[v.Job]
		if j == nil {
			continue
		}
		s.touch(v.Job)
		if j.job.Attempt == v.Attempt && (j.job.Phase == nexus.Starting || j.job.Phase == nexus.Running) {
			s.stop(j, nexus.StopPreempt, v.For)
		}
	}
	for _, p := range plan.Place {
		j := s.jobs[p.Job]
		if j == nil {
			continue
		}
		s.touch(p.Job)
		if j.job.Phase != nexus.Pending || p.Attempt != j.job.Attempt+1 || !s.ready(p) {
			continue
		}
		if why := s.wrong(j.job, p); why != "" {
			s.violations = append(s.violations, p.Job+": "+why)
			continue
		}
		s.start(j, p)
	}
	return nil
}

// ready reports whether all nodes of a placement still take jobs.
func (s *Sim) ready(p nexus.Placement) bool {
	return !slices.ContainsFunc(p.Seats, func(seat nexus.Seat) bool { return s.nodes[seat.Node].State != nexus.Ready })
}

// wrong says which promise a placement would break; empty if none. It adds everything up from the jobs
// that live, and trusts nobody's account.
func (s *Sim) wrong(j nexus.Job, p nexus.Placement) string {
	if n := len(p.Seats); n < max(1, j.Spec.Nodes.Min) || n > max(1, j.Spec.Nodes.Max) {
		return fmt.Sprintf("a gang of %s nodes got %d", j.Spec.Nodes, n)
	}
	seen := map[string]bool{}
	for _, seat := range p.Seats {
		if seen[seat.Node] {
			return "two seats on " + seat.Node
		}
		seen[seat.Node] = true
		if why := s.crowded(seat); why != "" {
			return why
		}
	}
	return ""
}

// crowded says what a seat would exceed on its node.
func (s *Sim) crowded(seat nexus.Seat) string {
	n := s.nodes[seat.Node]
	cpu, memory := seat.CPU, seat.Memory
	shares, whole := map[int]nexus.MiB{}, map[int]int{}
	count := func(x nexus.Seat) {
		for _, g := range x.GPUs {
			shares[g.Index] += x.Share
			if x.Share == 0 {
				whole[g.Index]++
			}
		}
	}
	count(seat)
	for _, other := range s.jobs {
		if other.job.Placement == nil {
			continue
		}
		for _, x := range other.job.Placement.Seats {
			if x.Node == seat.Node {
				cpu, memory = cpu+x.CPU, memory+x.Memory
				count(x)
			}
		}
	}
	if cpu > n.CPU || memory > n.Memory {
		return fmt.Sprintf("%s would give %s of %s cpus and %s of %s", n.Name, cpu, n.CPU, memory, n.Memory)
	}
	for _, g := range seat.GPUs {
		i := slices.IndexFunc(n.GPUs, func(d nexus.GPU) bool { return d.Index == g.Index })
		switch {
		case i < 0:
			return fmt.Sprintf("%s has no GPU %d", n.Name, g.Index)
		case whole[g.Index] > 1 || whole[g.Index] == 1 && shares[g.Index] > 0:
			return fmt.Sprintf("%s would give GPU %d twice", n.Name, g.Index)
		case shares[g.Index] > n.GPUs[i].Usable():
			return fmt.Sprintf("%s would give %s of GPU %d, which has %s", n.Name, shares[g.Index], g.Index, n.GPUs[i].Usable())
		}
	}
	return ""
}
