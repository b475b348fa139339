package sim

import (
	"context"
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
	for _, h := range plan.Hold {
		if j := s.jobs[h.Job]; j != nil && (h.Start != nil || !h.Reason.Code.InLine()) {
			j.start = h.Start
		}
	}
	for _, v := range plan.Evict {
		j := s.jobs[v.Job]
		if j == nil {
			continue
		}
		s.answer(v.Job)
		if j.job.Attempt == v.Attempt && (j.job.Phase == nexus.Starting || j.job.Phase == nexus.Running) {
			s.stop(j, v.Stop(), v.For)
		}
	}
	for _, p := range plan.Place {
		j := s.jobs[p.Job]
		if j == nil {
			continue
		}
		s.answer(p.Job)
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

// answer has the job of a decision told, whatever became of it.
func (s *Sim) answer(id string) {
	if s.options.Brisk {
		s.note(id)
		return
	}
	s.touch(id)
}

// ready reports whether all nodes of a placement still take jobs.
func (s *Sim) ready(p nexus.Placement) bool {
	return !slices.ContainsFunc(p.Seats, func(seat nexus.Seat) bool { return s.nodes[seat.Node].State != nexus.Ready })
}
