package local

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"ainexus.io/api"
	"ainexus.io/cluster/local/store"
	"ainexus.io/nexus"
	"ainexus.io/sched"
	"ainexus.io/sched/policy"
)

// Submit makes a job durable and returns it, or the first member of an array. A job that could never start here is
// refused with the limit named. A key that this user used before gives the job of that time, unchanged.
func (p *Place) Submit(ctx context.Context, s api.Submission) (nexus.Job, error) {
	r, err := p.draft(s)
	if err != nil {
		return nexus.Job{}, err
	}
	spec, said := r.Job.Spec, "Pending: submitted by "+s.User
	if s.Hold {
		said += ", who holds it"
	}
	records := members(r)
	for _, r := range records {
		p.keepSecrets(r.Job.ID, s.Secrets)
	}
	given := records[0].Job
	err = p.store.Do(ctx, func(tx *store.Tx) error {
		if s.Key != "" {
			id, err := tx.Submitted(s.User, s.Key)
			if err != nil {
				return err
			}
			if id != "" {
				earlier, err := tx.Job(id)
				given = earlier.Job
				return err
			}
		}
		if err := p.mayWait(tx, given); err != nil {
			return err
		}
		after, err := dependencies(tx, spec.After, s.User)
		if err != nil {
			return err
		}
		for i, r := range records {
			r.Job.After = after
			if i == 0 {
				given.After = after
			}
			if err := insert(tx, r, s.Key, said); err != nil {
				return err
			}
			s.Key = "" // it stands for the whole array
		}
		return nil
	})
	p.opts.passed("submitted")
	if err != nil || given.ID != r.Job.ID {
		for _, r := range records {
			p.dropSecrets(r.Job.ID)
		}
		return given, err
	}
	p.learn(func(l *policy.Learner) {
		for i := range records {
			l.Arrived(&records[i].Job.Spec)
		}
	})
	return given, nil
}

// Draft is the job that a submit would make, or the first member of its array. Nothing is stored.
func (p *Place) Draft(ctx context.Context, s api.Submission) (nexus.Job, error) {
	r, err := p.draft(s)
	if err != nil {
		return nexus.Job{}, err
	}
	job := members(r)[0].Job
	return job, p.store.Do(ctx, func(tx *store.Tx) error {
		var err error
		job.After, err = dependencies(tx, r.Job.Spec.After, s.User)
		return err
	})
}

// draft is the record of a submission; it is not written, and what it waits for is not resolved.
func (p *Place) draft(s api.Submission) (store.Record, error) {
	job, err := p.fit(nexus.Job{ID: newID(), Spec: s.Spec, User: s.User, Submitted: p.Now(), Phase: nexus.Pending})
	if err != nil {
		return store.Record{}, err
	}
	spec := job.Spec
	dir := spec.Workdir
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(s.Dir, dir)
	}
	if !filepath.IsAbs(dir) {
		return store.Record{}, &nexus.Error{Code: nexus.CodeInvalid, Field: "workdir",
			Message: "the directory that workdir is relative to was not sent", Hint: "send dir, or an absolute workdir"}
	}
	r := store.Record{
		Job: job,
		Kept: store.Kept{Workdir: filepath.Clean(dir), Env: s.Env, Notices: notices(spec),
			Secrets: slices.Sorted(maps.Keys(s.Secrets))},
	}
	if s.Hold {
		r.Job.HeldBy = s.User
	}
	return r, nil
}

// insert writes a new job, and what it waits for.
func insert(tx *store.Tx, r store.Record, key, said string) error {
	if err := tx.Insert(r, key); err != nil {
		return err
	}
	if err := enlist(tx, r.Job); err != nil {
		return err
	}
	return tx.Event(nexus.Event{At: r.Job.Submitted, Job: r.Job.ID, Kind: nexus.EventPhase, Message: said})
}

// fit completes the job by what only this machine and its queues know, and refuses what can never run here.
func (p *Place) fit(job nexus.Job) (nexus.Job, error) {
	node, spec := p.view.machine(), &job.Spec
	if spec.Nodes.Min > 1 {
		return job, &nexus.Error{Code: nexus.CodeUnfit, Field: "nodes",
			Message: fmt.Sprintf("the job needs %d nodes, and this machine is one", spec.Nodes.Min), Hint: "--set nodes=1"}
	}
	// Without a word about cpus a worker gets one, as far as there are so many: CPU workers may share slots.
	// What was said is not capped.
	if spec.Resources.CPU == 0 {
		spec.Resources.CPU = min(nexus.CPU(spec.Workers)*1000, node.CPU)
	}
	if refusal := sched.Check([]nexus.Node{node}, *spec); refusal != nil {
		return job, refusal
	}
	return p.enqueue(job)
}

// notices say what of the job file has no effect on this machine.
func notices(spec nexus.Spec) []string {
	var list []string
	for _, n := range []struct {
		said bool
		text string
	}{
		{spec.Image != "", "image has no effect on this machine: the job runs in your own environment"},
		{spec.Code != "", "code has no effect on this machine: workdir is used as it is"},
		{len(spec.Volumes) > 0, "volumes have no effect on this machine"},
		{spec.Resources.Shm > 0, "resources.shm has no effect on this machine"},
		{spec.Nodes.Max > spec.Nodes.Min, "this machine is one node: nodes " + spec.Nodes.String() + " runs with 1"},
	} {
		if n.said {
			list = append(list, n.text)
		}
	}
	return list
}

// newID is 60 random bits in small letters and digits.
func newID() string {
	random := make([]byte, 8)
	_, _ = rand.Read(random) // never fails
	return strings.ToLower(base32.StdEncoding.EncodeToString(random))[:12]
}

func (p *Place) keepSecrets(id string, secrets map[string]string) {
	if len(secrets) == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.secrets[id] = maps.Clone(secrets)
}
