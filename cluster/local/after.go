package local

import (
	"errors"
	"fmt"
	"time"

	"ainexus.io/cluster/local/store"
	"ainexus.io/nexus"
)

// dependencies resolves what a job waits for, as its owner calls it, and how that stands.
func dependencies(tx *store.Tx, after []nexus.After, owner string) ([]nexus.Dependency, error) {
	var list []nexus.Dependency
	for i, a := range after {
		field := fmt.Sprintf("after[%d].job", i)
		id, array, err := tx.Newest(owner, a.Job)
		if err != nil {
			return nil, err
		}
		if id == "" && array == "" {
			return nil, &nexus.Error{Code: nexus.CodeNotFound, Field: field, Message: fmt.Sprintf("there is no job %q of yours to wait for", a.Job),
				Hint: "submit it first; after takes the name or the id of a job or an array"}
		}
		d := nexus.Dependency{Job: id + array, Name: a.Job, On: a.On}
		if err := stands(tx, &d); err != nil {
			return nil, err
		}
		if d.Broken() {
			return nil, &nexus.Error{Code: nexus.CodeConflict, Field: field,
				Message: fmt.Sprintf("job %s has to succeed first, and it is over: %s", calls(d), d.Phase),
				Hint:    "requeue it first, or take any ending: after: [{job: " + a.Job + ", on: any}]"}
		}
		list = append(list, d)
	}
	return list, nil
}

// stands brings a dependency up to date. What is not kept any more stands as it was last seen.
func stands(tx *store.Tx, d *nexus.Dependency) error {
	r, err := tx.Job(d.Job)
	switch {
	case err == nil:
		d.Phase = ""
		if r.Job.Phase.Over() {
			d.Phase = r.Job.Phase
		}
		d.Name = r.Job.Spec.Name
		return nil
	case !errors.Is(err, store.ErrMissing):
		return err
	}
	_, array, err := tx.Newest("", d.Job)
	if err != nil || array == "" {
		return err
	}
	d.Phase, err = tx.Array(array)
	return err
}

func calls(d nexus.Dependency) string {
	if d.Name == "" || d.Name == d.Job {
		return d.Job
	}
	return fmt.Sprintf("%s (%s)", d.Name, d.Job)
}

// enlist notes what a job waits for, so that [settle] finds it.
func enlist(tx *store.Tx, job nexus.Job) error {
	for _, d := range job.After {
		if d.Phase.Over() {
			continue
		}
		if err := tx.Await(job.ID, d.Job); err != nil {
			return err
		}
	}
	return nil
}

// settle tells those who wait for a job that it is over, in the same step in which it ended, so that nobody is
// forgotten whoever dies. Who needed its success and does not get it is over too, and so on down the chain.
func settle(tx *store.Tx, ended nexus.Job, at time.Time) error {
	for todo := []nexus.Job{ended}; len(todo) > 0; todo = todo[1:] {
		job := todo[0]
		fallen, err := arrive(tx, job.ID, job.Phase, at)
		if err != nil {
			return err
		}
		todo = append(todo, fallen...)
		if job.Member == nil {
			continue
		}
		waiting, err := tx.Waiting(job.Member.Array)
		if err != nil {
			return err
		}
		if len(waiting) == 0 {
			continue
		}
		phase, err := tx.Array(job.Member.Array)
		if err != nil {
			return err
		}
		if phase.Over() {
			fallen, err = arrive(tx, job.Member.Array, phase, at)
			if err != nil {
				return err
			}
			todo = append(todo, fallen...)
		}
	}
	return nil
}

// arrive tells those who wait for a job or an array how it ended, and gives those who are over because of it.
func arrive(tx *store.Tx, awaited string, phase nexus.Phase, at time.Time) (fallen []nexus.Job, err error) {
	waiting, err := tx.Waiting(awaited)
	if err != nil || len(waiting) == 0 {
		return nil, err
	}
	for _, id := range waiting {
		r, err := tx.Job(id)
		if err != nil {
			return nil, err
		}
		if r.Job.Phase != nexus.Pending {
			continue // cancelled meanwhile; a requeue looks anew
		}
		text := told(&r.Job, awaited, phase, at)
		if err := tx.Update(r); err != nil {
			return nil, err
		}
		if err := tx.Event(nexus.Event{At: at, Job: id, Attempt: r.Job.Attempt, Kind: nexus.EventPhase, Message: text}); err != nil {
			return nil, err
		}
		if r.Job.Phase.Over() {
			fallen = append(fallen, r.Job)
		}
	}
	return fallen, tx.Arrived(awaited)
}

// told takes in how an awaited job ended, and says so in words.
func told(job *nexus.Job, awaited string, phase nexus.Phase, at time.Time) string {
	text := ""
	after := make([]nexus.Dependency, len(job.After)) // what the view holds is not to change under it
	copy(after, job.After)
	job.After = after
	for i := range after {
		d := &after[i]
		if d.Job != awaited {
			continue
		}
		d.Phase = phase
		text = fmt.Sprintf("Pending: job %s, which it waited for, is over: %s", calls(*d), phase)
		if d.Broken() {
			message := fmt.Sprintf("job %s had to succeed first, and ended as %s", calls(*d), phase)
			job.Phase, job.Finished, job.HeldBy, job.NotBefore = nexus.Cancelled, at, "", time.Time{}
			job.Result = &nexus.Result{Attempt: job.Attempt, Cause: nexus.CauseAfter, Rank: -1, Exit: 1, Message: message, Ended: at, LostSeconds: -1}
			return "Cancelled: " + message
		}
	}
	return text
}

// awaitAgain looks anew at what a job waits for that comes back in line.
func awaitAgain(tx *store.Tx, job *nexus.Job) error {
	after := make([]nexus.Dependency, len(job.After))
	copy(after, job.After)
	for i := range after {
		d := &after[i]
		if err := stands(tx, d); err != nil {
			return err
		}
		if d.Broken() {
			return &nexus.Error{Code: nexus.CodeConflict, Message: fmt.Sprintf("job %s waits for the success of %s, which is over: %s", job.ID, calls(*d), d.Phase),
				Hint: "requeue that one first"}
		}
	}
	if len(after) > 0 {
		job.After = after
	}
	return enlist(tx, *job)
}
