package local

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"ainexus.io/attempt"
	"ainexus.io/cluster/local/store"
	"ainexus.io/nexus"
	"ainexus.io/proc"
	"ainexus.io/sched/policy"
)

// finish ends an attempt whose agent is gone: whatever is left of it is killed, and only when nothing is, the result
// counts and the job may go on. It is repeated until it worked.
func (m *minder) finish(ctx context.Context, r store.Record, agent nexus.Agent) {
	if err := proc.KillAttempt(attempt.Name(m.id, m.attempt), agent.Cgroup, 5*time.Second); err != nil {
		m.place.log.Error("ending what an agent left", "job", m.id, "attempt", m.attempt, "error", err)
		if !m.killed {
			m.killed = true
			m.tell(ctx, nexus.EventNote, "processes of the attempt do not end, though they were killed; waiting for them")
		}
		return
	}
	m.place.opts.passed("cleared")
	left := leftBehind{trouble: m.trouble, begun: m.begun(r.Job)}
	if result, err := m.dir.Result(); err == nil {
		left.result = &result
	} else if !attempt.Missing(err) {
		m.place.log.Error("reading a result", "job", m.id, "attempt", m.attempt, "error", err)
	}
	if rounds, err := m.dir.Rounds(); err == nil {
		left.rounds = &rounds
	}
	if ack, err := m.dir.Ack(); err == nil && left.result == nil && ack.Attempt == attempt.Name(m.id, m.attempt) {
		left.ack = &ack
	}
	if err := m.place.conclude(ctx, m.id, m.attempt, left); err != nil && !errors.Is(err, errMoved) && ctx.Err() == nil {
		m.place.log.Error("recording the end of an attempt", "job", m.id, "attempt", m.attempt, "error", err)
		m.pause(ctx, time.Second)
	}
}

// begun says whether a round ever began, as far as anything but the record of rounds tells.
func (m *minder) begun(job nexus.Job) bool {
	if job.Phase == nexus.Running {
		return true
	}
	entries, _ := os.ReadDir(filepath.Join(string(m.dir), "logs"))
	for _, e := range entries {
		logs, _ := filepath.Glob(filepath.Join(string(m.dir), "logs", e.Name(), "[0-9]*.log"))
		if _, err := strconv.Atoi(e.Name()); err == nil && len(logs) > 0 {
			return true
		}
	}
	return false
}

// conclude records the end of an attempt and what follows from it.
func (p *Place) conclude(ctx context.Context, id string, n int, left leftBehind) error {
	left.at, left.backoff, left.node, left.peakGPU = p.Now(), p.opts.Backoff, p.view.machine(), p.takePeak(id, n)
	var was, is nexus.Job
	var use nexus.QueueUse
	err := p.change(ctx, id, func(r *store.Record) (string, error) {
		if r.Job.Attempt != n || r.Job.Phase.Over() || r.Job.Phase == nexus.Pending {
			return "", errMoved
		}
		was = r.Job
		text := end(r, left)
		if r.Job.Phase == nexus.Pending {
			r.Job.Served += nexus.Duration(max(0, left.at.Sub(was.Started)))
		}
		is = r.Job
		return text, nil
	}, func(tx *store.Tx) (err error) {
		use, err = p.account(tx, was, is, left.at)
		return err
	})
	p.opts.passed("concluded")
	if err == nil {
		p.view.setUse(use)
		p.learn(func(l *policy.Learner) { l.Over(&is) })
	}
	if err == nil && p.opts.Tally != nil {
		p.opts.Tally.Ended(is, is.Result.Cause, is.RestartsUsed-was.RestartsUsed)
	}
	return err
}
