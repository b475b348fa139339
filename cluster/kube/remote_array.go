package kube

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"ainexus.io/api"
	"ainexus.io/cluster/kube/v1alpha1"
	"ainexus.io/nexus"
)

// familyPause is how often it is looked whether the members of an array are made.
const familyPause = 300 * time.Millisecond

// speaker is who answers for a job: itself, or of an array the first member that waits, else the first that is not over, else the
// first; the array itself while it has none.
func (c *Client) speaker(ctx context.Context, o *v1alpha1.NexusJob) (*v1alpha1.NexusJob, error) {
	if o.Spec.Array.IsZero() {
		return o, nil
	}
	members, err := c.family(ctx, o)
	if err != nil || len(members) == 0 {
		return o, err
	}
	at := func(ok func(nexus.Phase) bool) int {
		return slices.IndexFunc(members, func(m v1alpha1.NexusJob) bool {
			return ok(nexus.Phase(cmp.Or(m.Status.Phase, string(nexus.Pending))))
		})
	}
	i := at(func(p nexus.Phase) bool { return p == nexus.Pending })
	if i < 0 {
		i = at(func(p nexus.Phase) bool { return !p.Over() })
	}
	return &members[max(i, 0)], nil
}

// one is the job that answers for a reference.
func (c *Client) one(ctx context.Context, ref string) (*v1alpha1.NexusJob, error) {
	o, err := c.find(ctx, ref)
	if err != nil {
		return nil, err
	}
	return c.speaker(ctx, o)
}

// family are the members of an array that there are, by index.
func (c *Client) family(ctx context.Context, o *v1alpha1.NexusJob) ([]v1alpha1.NexusJob, error) {
	list, err := c.objects(ctx, o.Namespace, LabelArray+"="+o.Name)
	if err != nil {
		return nil, err
	}
	list = slices.DeleteFunc(list, func(m v1alpha1.NexusJob) bool { return memberOf(&m) == nil || !metav1.IsControlledBy(&m, o) })
	slices.SortFunc(list, func(a, b v1alpha1.NexusJob) int { return cmp.Compare(memberOf(&a).Index, memberOf(&b).Index) })
	return list, nil
}

// whole are the members of an array once all have been made, newest first as in any list. Who waits for them must not miss one.
func (c *Client) whole(ctx context.Context, name string) ([]v1alpha1.NexusJob, error) {
	for end := time.Now().Add(requestPatience); ; {
		o, err := c.find(ctx, name)
		if err != nil {
			return nil, err
		}
		if o.Spec.Array.IsZero() || made(o) {
			list, err := c.family(ctx, o)
			slices.Reverse(list)
			return list, err
		}
		if time.Now().After(end) || o.Status.Message != "" {
			return nil, &nexus.Error{Code: nexus.CodeUnavailable, Message: fmt.Sprintf("the members of array %s are not made yet: %s", name, viewOf(o).Sentence),
				Hint: "the controller makes them: kubectl describe nexusjob " + name}
		}
		select {
		case <-time.After(familyPause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// firstMember is how an array is seen that has no members yet.
func firstMember(o *v1alpha1.NexusJob, j *nexus.Job) *nexus.Member {
	indices := j.Spec.Array.Indices()
	return &nexus.Member{Array: o.Name, Name: j.Spec.Name, Indices: j.Spec.Array.String(), Index: indices[0], Size: len(indices), AtOnce: j.Spec.Array.AtOnce}
}

// wish is what is asked of a job.
type wish struct {
	// grant says whether there is anything to change, or why it must not be.
	grant func(*v1alpha1.NexusJob, nexus.Phase) (bool, error)
	// patch is how it is asked.
	patch func() any
	// expect is what the controller makes of it; nil: nothing yet.
	expect func(*nexus.Job)
	// each says that of an array each member is asked by itself; else the word of the array counts for them.
	each bool
}

// changeArray asks something of all members of an array that it is for. It is refused where it is for none.
func (c *Client) changeArray(ctx context.Context, array *v1alpha1.NexusJob, w wish) (api.Changed, error) {
	members, err := c.family(ctx, array)
	if err != nil {
		return api.Changed{}, err
	}
	changed, fine := api.Changed{Job: viewOf(array).Job}, !made(array) // those that are not made yet follow the array
	var refused error
	for i := range members {
		m := &members[i]
		if held := array.Annotations[AnnotationHold]; held != "" && m.Annotations[AnnotationHold] == "" {
			m.Annotations[AnnotationHold] = held
		}
		ask, err := w.grant(m, nexus.Phase(cmp.Or(m.Status.Phase, string(nexus.Pending))))
		var refusal *nexus.Error
		switch {
		case errors.As(err, &refusal):
			refused = cmp.Or(refused, err)
			continue
		case err != nil:
			return api.Changed{}, err
		case !ask:
			fine = true
			continue
		}
		if changed.Members++; changed.Members == 1 {
			if changed.Job = viewOf(m).Job; w.expect != nil {
				w.expect(&changed.Job)
			}
		}
		if !w.each {
			continue
		}
		if _, err := c.patched(ctx, m, w); err != nil {
			return api.Changed{}, err
		}
	}
	if changed.Members == 0 && !fine {
		return api.Changed{}, cmp.Or(refused, error(over(array, "there is nothing left to change")))
	}
	_, err = c.patched(ctx, array, w)
	return changed, err
}

// patched asks it of one object, whatever has become of that meanwhile.
func (c *Client) patched(ctx context.Context, o *v1alpha1.NexusJob, w wish) (*v1alpha1.NexusJob, error) {
	for range tries {
		got, err := c.patch(ctx, o, w.patch())
		if !apierrors.IsConflict(err) {
			return got, c.problem(err)
		}
		if o, err = c.clients.job(ctx, o.Namespace, o.Name); err != nil {
			return nil, c.problem(err)
		}
	}
	return nil, cannot(fmt.Sprintf("job %s was changed by somebody else %d times in a row", o.Name, tries), "try again")
}
