package launch

import (
	"fmt"
	"time"

	"ainexus.io/attempt/saved"
	"ainexus.io/nexus"
	"ainexus.io/proc"
)

// judge says how a round ended, once all of its processes are gone.
func (a *agent) judge(r *round) ending {
	if r.stop != nil {
		e := a.stopped(*r.stop, r.began)
		if r.deaf > 0 && r.stop.grace >= time.Millisecond {
			e.message += fmt.Sprintf("; %s did not end within %s and %s killed", times(r.deaf, "worker", "workers"), about(r.stop.grace), wereOrWas(r.deaf))
		}
		return e
	}
	if r.refused != "" {
		return refusal(r.refused)
	}
	if r.hang != "" {
		e := ending{cause: nexus.CauseHang, rank: r.hangRank, exit: 1, message: r.hang}
		if local := e.rank - a.place.first; e.rank >= 0 && local >= 0 && local < len(r.workers) {
			e.tail = r.outputs.tails[local].Lines()
		}
		if r.hangStack != nil {
			e.tail = r.hangStack
		}
		return e
	}
	killer := a.oom(r.oomAt)
	failures := a.failures(r, killer)
	if len(failures) == 0 && r.told {
		return ending{told: true, rank: -1}
	}
	if len(failures) == 0 {
		return ending{ok: true, rank: -1, message: fmt.Sprintf("%s ended well after %s",
			times(len(r.workers), "worker", "workers"), about(a.clock.Mono()-r.began))}
	}
	return a.blame(r, rootCause(failures), len(failures)-1, killer)
}

// failures are the workers that ended badly before anybody asked them to, and those that had said by then why they would.
func (a *agent) failures(r *round, killer oom) (list []failure) {
	for rank, p := range r.workers {
		f := failure{rank: rank, pid: p.PID, exit: p.Exit(), report: readErrorFile(a.errorFile(r.number, rank)), tail: r.outputs.tails[rank].Lines()}
		if f.exit.OK() {
			continue
		}
		f.weigh(r.beganAt, killer)
		if r.asked.IsZero() || !f.at.After(r.asked) {
			list = append(list, f)
		}
	}
	return list
}

// blame tells of the failure that came first, and how many came later.
func (a *agent) blame(r *round, f failure, later int, killer oom) ending {
	e := ending{
		proof: f.proof, at: f.at, cause: nexus.CauseExit, rank: a.place.first + f.rank, exit: exitCode(f.exit), tail: bounded(f.tail),
		fault: &nexus.Fault{
			Node: a.order.Seat.Node, PID: f.pid, At: f.at, Into: nexus.Duration(max(0, f.at.Sub(r.beganAt))), Evidence: f.why, Later: later,
			Log: a.logOf(r.number, f.rank),
		},
	}
	if len(e.tail) == 0 && f.report != nil {
		e.tail = bounded(lastLines(f.report.stack))
	}
	who := fmt.Sprintf("rank %d", a.place.first+f.rank)
	e.message = describe(who, f.exit, killer)
	if f.exit.Signal != 0 && !r.asked.IsZero() && f.exit.At.After(r.asked) {
		e.exit, e.message = 1, who+" failed" // the signal was ours: it was slow to end after its error
	}
	switch {
	case killer.ended(f.exit):
		e.cause, e.outOf = nexus.CauseOOM, nexus.OutOfMemory
	case len(a.order.Seat.GPUs) > 0 && saysOutOfGPU(e.tail, f.report):
		e.cause, e.outOf = nexus.CauseOOM, nexus.OutOfGPUMemory
		e.message += " after a GPU ran out of memory"
	}
	if f.words != "" {
		e.message += ": " + f.words
	}
	return e
}

// oomCount is what the OOM killer has done so far: to the attempt, or, where nobody counts that, on the machine.
func (a *agent) oomCount() int {
	if c := a.counting(); c.CountsOOM() {
		return c.OOMKills()
	}
	return proc.MachineOOMKills()
}

// counting is the cgroup that counts what becomes of the attempt's processes: its own, or in a pod the container's.
func (a *agent) counting() *proc.Cgroup {
	if a.container != nil && !a.cgroup.CountsOOM() {
		return a.container
	}
	return a.cgroup
}

// oom is what the OOM killer did since the count was before.
func (a *agent) oom(before int) oom {
	o := oom{kills: a.oomCount() - before, ours: a.counting().CountsOOM()}
	if (a.order.Limits || a.container != nil) && o.ours {
		o.limit = a.order.Seat.Memory
	}
	return o
}

// stopped tells how a stop went: what was saved, or what was lost. Began is Mono when the work began.
func (a *agent) stopped(request stopRequest, began time.Duration) ending {
	e := ending{cause: request.cause, rank: -1, exit: request.exit, message: request.why, lost: -1}
	ack, err := acknowledged(a.dir, a.name, a.order.Workdir)
	if ack != nil {
		e.ack, e.lost = ack, 0
		e.message += fmt.Sprintf("; the checkpoint of step %d is saved at %s", ack.Step, proc.Sanitize(ack.Path))
		return e
	}
	if err != nil {
		a.log.Warn("the stop was acknowledged, but not with a valid checkpoint", "err", err)
		e.message += "; " + proc.Sanitize(err.Error())
	}
	if a.order.Spec.Checkpoint == nil {
		return e
	}
	lost := a.clock.Mono() - began
	if age, ok := saved.Age(below(a.order.Workdir, a.order.Spec.Checkpoint.Path), a.order.Job); ok {
		lost = min(lost, age)
	}
	e.lost = int64(lost / time.Second)
	e.message += fmt.Sprintf("; no checkpoint was acknowledged, %d s of work are lost", e.lost)
	return e
}
