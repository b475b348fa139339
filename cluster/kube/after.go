package kube

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"ainexus.io/cluster/kube/v1alpha1"
	"ainexus.io/nexus"
)

// spec.after names NexusJobs of the same namespace. How they stand is in their records, and nowhere else: one that was deleted
// is not known to have succeeded, so who waits for it says so until it is there again or taken out of after. A job that
// has had an attempt waits for nobody any more.

// key is how a NexusJob is named by others of its namespace.
func key(namespace, name string) string { return namespace + "/" + name }

// enlist notes whom a job waits for, or takes the note back.
func (v *view) enlist(id string, r *record, there bool) {
	for _, a := range r.job.Spec.After {
		k := key(r.object.Namespace, a.Job)
		if !there {
			delete(v.awaited[k], id)
			if len(v.awaited[k]) == 0 {
				delete(v.awaited, k)
			}
			continue
		}
		if v.awaited[k] == nil {
			v.awaited[k] = map[string]bool{}
		}
		v.awaited[k][id] = true
	}
}

// resolve finds how those stand whom a job waits for.
func (v *view) resolve(r *record) {
	r.job.After = nil
	if r.job.Phase != nexus.Pending || r.job.Attempt > 0 || r.unable != nil {
		r.wrong = r.unable
		return
	}
	r.wrong = nil
	for i, a := range r.job.Spec.After {
		other := v.jobs[v.names[key(r.object.Namespace, a.Job)]]
		field := fmt.Sprintf("after[%d].job", i)
		switch {
		case a.Job == r.object.Name:
			r.wrong = &nexus.Error{Code: nexus.CodeInvalid, Field: field, Message: "a job cannot wait for itself"}
			return
		case other == nil:
			r.wrong = &nexus.Error{Code: nexus.CodeNotFound, Field: field, Message: fmt.Sprintf("there is no NexusJob %s in namespace %s", a.Job, r.object.Namespace),
				Hint: "it starts to wait when there is; one that was deleted is not known to have succeeded"}
			return
		}
		d := nexus.Dependency{Job: string(other.object.UID), Name: a.Job, On: a.On}
		if other.job.Phase.Over() {
			d.Phase = other.job.Phase
		}
		r.job.After = append(r.job.After, d)
	}
}

// stir has those looked at anew who wait for a job that has come, ended or gone.
func (v *view) stir(namespace, name string) {
	for id := range v.awaited[key(namespace, name)] {
		if r := v.jobs[id]; r != nil {
			v.resolve(r)
			v.dirtyJobs[id] = true
		}
	}
}

// waiters are those who wait for a job, and still have had no attempt.
func (v *view) waiters(o metav1.Object) []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.DeleteFunc(slices.Sorted(maps.Keys(v.awaited[key(o.GetNamespace(), o.GetName())])), func(id string) bool {
		return v.jobs[id] == nil || v.jobs[id].job.Phase != nexus.Pending
	})
}

// awaited are the names of the NexusJobs that a submission waits for, as the submitter calls them: by name, or by that in
// the job file, which means the newest one that is not over, or else the newest.
func (c *Client) awaited(ctx context.Context, after []nexus.After) ([]nexus.After, error) {
	list := slices.Clone(after)
	for i := range list {
		a, field := &list[i], fmt.Sprintf("after[%d].job", i)
		o, err := c.find(ctx, a.Job)
		var refusal *nexus.Error
		switch {
		case errors.As(err, &refusal) && refusal.Code == nexus.CodeNotFound:
			return nil, &nexus.Error{Code: nexus.CodeNotFound, Field: field, Message: fmt.Sprintf("there is no job %q in namespace %s to wait for", a.Job, c.namespace),
				Hint: "submit it first; after takes the name or the id of a job"}
		case err != nil:
			return nil, err
		}
		if d := (nexus.Dependency{On: a.On, Phase: nexus.Phase(o.Status.Phase)}); d.Broken() {
			return nil, &nexus.Error{Code: nexus.CodeConflict, Field: field, Message: fmt.Sprintf("job %s has to succeed first, and it is over: %s", o.Name, d.Phase),
				Hint: "submit it again, or take any ending: after: [{job: " + a.Job + ", on: any}]"}
		}
		a.Job = o.Name
	}
	return list, nil
}

// broken is the first job that had to succeed and did not; nil where there is none.
func broken(j *nexus.Job) *nexus.Dependency {
	if i := slices.IndexFunc(j.After, nexus.Dependency.Broken); i >= 0 {
		return &j.After[i]
	}
	return nil
}

// cancelBroken ends a job that can never start, since one that had to succeed did not. Who waits for this one is next.
func (p *Place) cancelBroken(ctx context.Context, id string) error {
	return p.change(ctx, id, func(r record, st *v1alpha1.JobStatus) (string, error) {
		d := broken(&r.job)
		if r.job.Phase != nexus.Pending || d == nil {
			return "", errMoved
		}
		at, message := micro(p.Now()), fmt.Sprintf("job %s had to succeed first, and ended as %s", d.Name, d.Phase)
		st.Phase, st.Finished, st.Reserved = string(nexus.Cancelled), at, nil
		st.Result = &v1alpha1.Result{Attempt: r.job.Attempt, Cause: string(nexus.CauseAfter), Exit: 1, Message: message, Ended: at}
		st.Reason, st.Message = "Cancelled", message
		return "Cancelled", nil
	})
}
