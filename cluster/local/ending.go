package local

import (
	"fmt"
	"slices"
	"time"

	"ainexus.io/cluster/local/store"
	"ainexus.io/nexus"
)

// leftBehind is what an attempt left when its last process was gone.
type leftBehind struct {
	at      time.Time
	result  *nexus.Result // nil: the agent did not get to say
	rounds  *nexus.Rounds // nil: none can be read
	ack     *nexus.Ack    // of an agent that did not get to say
	begun   bool          // a round was seen to begin
	trouble string        // why no agent could be started
	backoff time.Duration // the first pause after a loss
	node    nexus.Node    // this machine: the most that a job could ask for
	peakGPU nexus.MiB     // the most GPU memory that was seen in use on one device; 0: unknown
}

// handedOut is the budget that an attempt starts with.
func handedOut(job nexus.Job) int { return max(0, job.Spec.Restart.Max-job.RestartsUsed) }

// charged is what the attempt cost of its budget. The record that was durable before each round counts, whatever the
// result says. A record that is gone though rounds began costs everything, so that deleting it gains nothing.
func (left leftBehind) charged(job nexus.Job) int {
	budget := handedOut(job)
	switch {
	case left.rounds != nil:
		return min(max(0, budget-left.rounds.RestartsLeft), budget)
	case left.begun:
		return budget
	}
	return 0
}

// outcome is how the attempt ended. Where nobody said, the agent or the machine went away.
func (left leftBehind) outcome(job nexus.Job) nexus.Result {
	if left.result != nil {
		result := *left.result
		result.Attempt = job.Attempt
		if job.Stop == nexus.StopCancel && (result.Cause == nexus.CausePreempt || result.Cause == nexus.CauseResize || result.Cause == nexus.CauseNode) {
			result.Cause = nexus.CauseCancel // it was being stopped already when the user cancelled it
		}
		return result
	}
	result := nexus.Result{Attempt: job.Attempt, Cause: nexus.CauseNode, Rank: -1, Exit: 1, Ended: left.at, LostSeconds: -1,
		Message: "the agent went away without a word (killed, or the machine was restarted)", Ack: left.ack}
	if left.trouble != "" {
		result.Message = "the agent could not be started: " + left.trouble
	}
	if left.rounds != nil && len(left.rounds.Rounds) > 0 {
		result.Round = left.rounds.Rounds[len(left.rounds.Rounds)-1].Number
	}
	if job.Stop == nexus.StopResize && !left.begun {
		result.Cause, result.Message = nexus.CauseResize, "it was resized before it began"
	}
	if job.Stop == nexus.StopPreempt && !left.begun {
		result.Cause, result.Message = nexus.CausePreempt, "it yielded before it began"
	}
	if job.Stop == nexus.StopShare {
		result.Cause, result.Message = nexus.CauseShare, "stopped for taking more GPU memory than its share (enforce: kill)"
	}
	if job.Stop == nexus.StopCancel {
		result.Cause, result.Message = nexus.CauseCancel, "cancelled; "+result.Message
		if !left.begun && left.trouble == "" {
			result.Message = "cancelled before it began"
		}
	}
	return result
}

// end turns the job of an attempt that is over into what it is next, and says so in words. Exit and hang were answered
// by rounds as long as the budget lasted, so as the end of an attempt they are final; a lost agent and a preemption
// cost nothing and put the job back in line.
func end(r *store.Record, left leftBehind) string {
	job := &r.Job
	result := left.outcome(*job)
	result.Charged = left.charged(*job)
	began, held := job.Started, nexus.Placement{}
	if job.Placement != nil {
		held = *job.Placement
	}
	asked := job.Asks().Spec.Resources
	result.AskedMemory, result.AskedGPUMemory, result.PeakGPUMemory = asked.Memory, asked.GPUMemory, left.peakGPU
	stop := job.Stop
	job.RestartsUsed += result.Charged
	job.Result, job.Placement, job.Stop, job.StopFor, job.NotBefore = &result, nil, "", "", time.Time{}
	if result.Ack != nil {
		job.CheckpointAt = left.at
	}
	again := slices.Contains(job.Spec.Restart.On, result.Cause)
	switch {
	case result.OK:
		return over(r, nexus.Succeeded, left.at, "done")
	case result.Cause == nexus.CauseCancel:
		return over(r, nexus.Cancelled, left.at, result.Message)
	case result.Cause == nexus.CausePreempt && again:
		job.Phase = nexus.Pending
		job.Preemptions++
		r.Losses = 0
		return "back in line: " + result.Message
	case result.Cause == nexus.CauseResize:
		job.Phase = nexus.Pending
		r.Losses = 0
		return "back in line: " + result.Message
	case result.Cause == nexus.CauseNode && again:
		return lost(r, left, began, result.Message)
	case result.Cause == nexus.CauseOOM && stop != nexus.StopCancel:
		text, retried := grow(r, &result, held, left.node)
		if retried {
			return text
		}
		result.Message = text
	}
	return over(r, nexus.Failed, left.at, result.Message)
}

// maxBackoff bounds the pause between attempts.
const maxBackoff = 5 * time.Minute

// lost puts a job whose agent went away back in line, later each time in a row. An attempt that held for longer
// than the longest pause starts the row anew.
func lost(r *store.Record, left leftBehind, began time.Time, why string) string {
	if left.at.Sub(began) > maxBackoff {
		r.Losses = 0
	}
	pause := left.backoff
	for range min(r.Losses, 20) {
		pause = min(2*pause, maxBackoff)
	}
	r.Losses++
	r.Job.Phase, r.Job.NotBefore = nexus.Pending, left.at.Add(pause)
	return fmt.Sprintf("back in line in %s: %s", pause, why)
}

// over ends the job.
func over(r *store.Record, phase nexus.Phase, at time.Time, why string) string {
	r.Job.Phase, r.Job.Finished, r.Losses = phase, at, 0
	return why
}
