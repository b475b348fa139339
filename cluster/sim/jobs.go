package sim

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"ainexus.io/nexus"
)

// Submit takes a job in and returns its id.
func (s *Sim) Submit(spec nexus.Spec, life Life) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := fmt.Sprintf("job-%04d", len(s.jobs)+1)
	s.take(nexus.Job{ID: id, Spec: spec, User: "sim"}, life)
	return id
}

// SubmitAs takes a job in under an id and a user of the caller's. An id that was used before is a
// violation, and not taken.
func (s *Sim) SubmitAs(id, user string, spec nexus.Spec, life Life) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.jobs[id] != nil {
		s.violations = append(s.violations, "two jobs are called "+id)
		return
	}
	s.take(nexus.Job{ID: id, Spec: spec, User: user}, life)
}

func (s *Sim) take(j nexus.Job, life Life) {
	s.act()
	j.Submitted, j.Phase = s.now, nexus.Pending
	if !j.Submitted.After(s.submitted) { // who comes at the same instant comes in turn all the same
		j.Submitted = s.submitted.Add(1)
	}
	s.submitted = j.Submitted
	im := &imagined{job: j, life: life}
	s.jobs[j.ID] = im
	s.learner.Arrived(&j.Spec)
	s.tell(Submitted, im, "")
	s.touch(j.ID)
	if life.Patience > 0 {
		s.after(life.Patience, func() {
			if im.job.Phase == nexus.Pending && im.job.Attempt == 0 {
				s.finish(im, nexus.Cancelled, nexus.CauseCancel)
			}
		})
	}
}

// Cancel ends a job: at once if it waits, else as soon as it has stopped.
func (s *Sim) Cancel(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.act()
	j := s.jobs[id]
	switch {
	case j == nil:
		return &nexus.Error{Code: nexus.CodeNotFound, Message: "no job " + id}
	case j.job.Phase.Over():
		return nil
	case !j.job.Phase.Live():
		s.finish(j, nexus.Cancelled, nexus.CauseCancel)
	default:
		s.stop(j, nexus.StopCancel, "")
	}
	return nil
}

// SetPriority changes a job's priority.
func (s *Sim) SetPriority(id string, p nexus.Priority) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.act()
	if j := s.jobs[id]; j != nil && !j.job.Phase.Over() {
		j.job.Spec.Priority = p
		s.touch(id)
	}
}

// Open opens a gate: the jobs that run behind it end.
func (s *Sim) Open(gate string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.act()
	s.gates[gate] = true
	for _, id := range slices.Sorted(maps.Keys(s.jobs)) {
		if j := s.jobs[id]; j.job.Phase == nexus.Running && j.life.Gate == gate {
			s.exitAfter(j, 0)
		}
	}
	s.stir()
}

// Kill kills the agent of a live job: its attempt fails as node.
func (s *Sim) Kill(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.act()
	if j := s.jobs[id]; j != nil && j.job.Phase.Live() {
		s.end(j, nexus.CauseNode, -1)
	}
}

// start begins an attempt that was placed.
func (s *Sim) start(j *imagined, p nexus.Placement) {
	j.job.Phase, j.job.Attempt, j.job.Placement, j.job.Started = nexus.Starting, p.Attempt, &p, s.instant
	j.job.NotBefore = time.Time{}
	s.enter(j)
	s.tell(Began, j, "")
	if s.options.Brisk {
		s.run(j)
		s.note(j.job.ID)
		return
	}
	s.touch(j.job.ID)
	s.unlessEnded(j, 0, func() {
		s.run(j)
		s.touch(j.job.ID)
	})
}

// run is the beginning of the work of an attempt.
func (s *Sim) run(j *imagined) {
	j.job.Phase, j.began = nexus.Running, s.instant
	j.redo = 0
	if j.job.Preemptions > 0 || j.lost {
		j.redo = j.life.Resume
	}
	if j.life.Saved && j.job.CheckpointAt.IsZero() {
		j.job.CheckpointAt = s.instant
	}
	if limit := time.Duration(j.job.Spec.MaxDuration); limit > 0 {
		s.unlessEnded(j, limit, func() { s.end(j, nexus.CauseTimeout, -1) })
	}
	if j.life.Gate == "" || s.gates[j.life.Gate] {
		s.exitAfter(j, max(0, j.life.Runs-j.done)+j.redo)
	}
}

// worked is how much of its work an attempt has done by now, beyond what was saved before.
func (s *Sim) worked(j *imagined) time.Duration {
	if j.job.Phase != nexus.Running {
		return 0
	}
	return max(0, s.instant.Sub(j.began)-j.redo)
}

func (s *Sim) exitAfter(j *imagined, d time.Duration) {
	s.unlessEnded(j, d, func() {
		if j.life.Exit == 0 {
			s.end(j, "", 0)
			return
		}
		s.end(j, nexus.CauseExit, j.life.Exit)
	})
}

// unlessEnded does something later, unless this attempt has ended or been asked to stop by then.
func (s *Sim) unlessEnded(j *imagined, d time.Duration, do func()) {
	ending := j.ending
	s.after(d, func() {
		if j.ending == ending {
			do()
		}
	})
}

// stop asks a live job to stop; it takes its time to save.
func (s *Sim) stop(j *imagined, kind nexus.StopKind, yieldTo string) {
	if j.job.Phase == nexus.Stopping && j.job.Stop == nexus.StopCancel {
		return
	}
	worked, stopping := s.worked(j), j.job.Phase == nexus.Stopping
	j.job.Phase, j.job.Stop, j.job.StopFor = nexus.Stopping, kind, yieldTo
	s.touch(j.job.ID)
	if stopping {
		return
	}
	j.ending++
	asked := s.instant
	s.unlessEnded(j, j.life.Save, func() {
		if worked > 0 && j.job.Spec.Checkpoint != nil {
			j.done += worked + s.instant.Sub(asked)
			j.job.CheckpointAt = s.instant
		}
		cause := nexus.CausePreempt
		if j.job.Stop == nexus.StopCancel {
			cause = nexus.CauseCancel
		}
		s.end(j, cause, -1)
	})
}

// end is the end of an attempt.
func (s *Sim) end(j *imagined, cause nexus.Cause, exit int) {
	switch cause {
	case "":
		s.finish(j, nexus.Succeeded, cause)
	case nexus.CauseCancel:
		s.finish(j, nexus.Cancelled, cause)
	case nexus.CauseTimeout:
		s.finish(j, nexus.Failed, cause)
	case nexus.CauseNode:
		j.lost = true
		if every := j.life.Every; every > 0 {
			j.done += s.worked(j).Truncate(every)
		}
		s.requeue(j, cause, exit)
	case nexus.CausePreempt:
		j.job.Preemptions++
		s.requeue(j, cause, exit)
	default:
		if j.job.RestartsUsed >= j.job.Spec.Restart.Max {
			s.finish(j, nexus.Failed, cause)
			break
		}
		j.job.NotBefore = s.instant.Add(min(firstBackoff<<j.job.RestartsUsed, lastBackoff))
		j.job.RestartsUsed++
		s.requeue(j, cause, exit)
	}
}

// requeue sends a job back to wait.
func (s *Sim) requeue(j *imagined, cause nexus.Cause, exit int) {
	if j.job.Placement != nil {
		j.job.Served += nexus.Duration(s.instant.Sub(j.job.Started))
	}
	s.over(j, cause, exit)
	j.job.Phase = nexus.Pending
}

func (s *Sim) finish(j *imagined, phase nexus.Phase, cause nexus.Cause) {
	s.over(j, cause, j.life.Exit)
	j.job.Phase, j.job.Finished = phase, s.instant
	s.learner.Over(&j.job)
	s.tell(Over, j, cause)
}

// over clears what belonged to the attempt.
func (s *Sim) over(j *imagined, cause nexus.Cause, exit int) {
	j.ending++
	if j.job.Placement != nil {
		s.leave(j)
		s.tell(Ended, j, cause)
		j.job.Result = &nexus.Result{
			Attempt: j.job.Attempt, OK: cause == "", Cause: cause, Rank: -1, Exit: exit, Ended: s.instant, LostSeconds: -1,
		}
	}
	j.job.Placement, j.job.Stop, j.job.StopFor = nil, "", ""
	s.touch(j.job.ID)
}

// act says that what follows is done now, by somebody outside.
func (s *Sim) act() { s.instant = s.now }

// touch has a job told to the engine.
func (s *Sim) touch(id string) {
	s.dirtyJobs[id] = true
	s.stir()
}

// note has a job told to the engine with the next thing that is.
func (s *Sim) note(id string) { s.dirtyJobs[id] = true }
