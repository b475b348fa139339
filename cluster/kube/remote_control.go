package kube

import (
	"context"
	"encoding/json"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"ainexus.io/api"
	"ainexus.io/cluster/kube/v1alpha1"
	"ainexus.io/nexus"
)

// Cancel asks for the end of a job; its record stays.
func (c *Client) Cancel(ctx context.Context, ref string) (api.Changed, error) {
	return c.change(ctx, ref, wish{
		grant: func(o *v1alpha1.NexusJob, phase nexus.Phase) (bool, error) {
			if phase == nexus.Succeeded || phase == nexus.Failed {
				return false, over(o, "there is nothing left to cancel")
			}
			return phase != nexus.Cancelled, nil
		},
		patch: func() any { return annotation(AnnotationStop, string(nexus.StopCancel)) },
		expect: func(j *nexus.Job) {
			if j.Phase == nexus.Starting || j.Phase == nexus.Running { // the controller follows
				j.Phase, j.Stop = nexus.Stopping, nexus.StopCancel
			}
		},
	})
}

// Requeue is refused: what is over is a record, and the attempts' names are used up.
func (c *Client) Requeue(context.Context, string) (api.Changed, error) {
	return api.Changed{}, cannot("a NexusJob that is over stays as a record and does not run again", "submit the job file again")
}

// Hold keeps a waiting job from starting.
func (c *Client) Hold(ctx context.Context, ref, by string) (api.Changed, error) {
	if by == "" {
		by = c.whoami(ctx)
	}
	return c.change(ctx, ref, wish{
		grant: func(o *v1alpha1.NexusJob, phase nexus.Phase) (bool, error) {
			switch {
			case phase.Over():
				return false, over(o, "there is nothing left to hold")
			case phase != nexus.Pending:
				return false, cannot(fmt.Sprintf("job %s does not wait: it is %s, and only what waits can be held", o.Name, phase), "nexus cancel stops it")
			}
			return o.Annotations[AnnotationHold] == "", nil
		},
		patch:  func() any { return annotation(AnnotationHold, by) },
		expect: func(j *nexus.Job) { j.HeldBy = by },
	})
}

// Release lets a held job start.
func (c *Client) Release(ctx context.Context, ref string) (api.Changed, error) {
	return c.change(ctx, ref, wish{
		grant: func(o *v1alpha1.NexusJob, phase nexus.Phase) (bool, error) {
			if phase != nexus.Pending {
				return false, cannot(fmt.Sprintf("job %s is not held: it is %s", o.Name, phase), "")
			}
			return o.Annotations[AnnotationHold] != "", nil
		},
		patch: func() any { return annotation(AnnotationHold, nil) },
		each:  true,
	})
}

// SetPriority changes a job's priority.
func (c *Client) SetPriority(ctx context.Context, ref string, p nexus.Priority) (api.Changed, error) {
	return c.change(ctx, ref, wish{
		grant: func(o *v1alpha1.NexusJob, phase nexus.Phase) (bool, error) {
			if phase.Over() {
				return false, over(o, "submit the job file again")
			}
			return true, nil
		},
		patch:  func() any { return map[string]any{"spec": map[string]any{"priority": p.String()}} },
		expect: func(j *nexus.Job) { j.Spec.Priority = p },
		each:   true,
	})
}

func over(o *v1alpha1.NexusJob, hint string) error {
	return cannot(fmt.Sprintf("job %s is over: %s", o.Name, o.Status.Phase), hint)
}

func annotation(name string, value any) any {
	return map[string]any{"metadata": map[string]any{"annotations": map[string]any{name: value}}}
}

// change patches a job as it was judged: where it has moved on meanwhile it is judged again.
func (c *Client) change(ctx context.Context, ref string, w wish) (api.Changed, error) {
	ctx = silent(ctx)
	for range tries {
		o, err := c.find(ctx, ref)
		if err != nil {
			return api.Changed{}, err
		}
		if !o.Spec.Array.IsZero() {
			return c.changeArray(ctx, o, w)
		}
		ask, err := w.grant(o, viewOf(o).Phase)
		if err != nil {
			return api.Changed{}, err
		}
		if ask {
			o, err = c.patch(ctx, o, w.patch())
		}
		if apierrors.IsConflict(err) {
			continue
		}
		if err != nil {
			return api.Changed{}, c.problem(err)
		}
		job := viewOf(o).Job
		if w.expect != nil {
			w.expect(&job)
		}
		return api.Changed{Job: job}, nil
	}
	return api.Changed{}, cannot(fmt.Sprintf("job %s was changed by somebody else %d times in a row", ref, tries), "try again")
}

func (c *Client) patch(ctx context.Context, o *v1alpha1.NexusJob, patch any) (*v1alpha1.NexusJob, error) {
	fields := patch.(map[string]any)
	metadata, _ := fields["metadata"].(map[string]any)
	if metadata == nil {
		metadata = map[string]any{}
		fields["metadata"] = metadata
	}
	metadata["resourceVersion"], metadata["uid"] = o.ResourceVersion, o.UID
	body, err := json.Marshal(fields)
	if err != nil {
		return nil, err
	}
	got := &v1alpha1.NexusJob{}
	err = c.clients.nexus.Patch(types.MergePatchType).Namespace(o.Namespace).Resource(resourceJobs).Name(o.Name).Timeout(requestPatience).Body(body).Do(ctx).Into(got)
	return got, err
}

// whoami is the name that the API server knows the user by.
func (c *Client) whoami(ctx context.Context) string {
	ctx = silent(ctx)
	var review struct {
		Status struct{ UserInfo struct{ Username string } }
	}
	body := []byte(`{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}`)
	answer, err := c.clients.nexus.Post().AbsPath("/apis/authentication.k8s.io/v1/selfsubjectreviews").SetHeader("Content-Type", "application/json").
		SetHeader("Accept", "application/json").Timeout(requestPatience).Body(body).Do(ctx).Raw()
	if err != nil || json.Unmarshal(answer, &review) != nil || review.Status.UserInfo.Username == "" {
		return "somebody"
	}
	return review.Status.UserInfo.Username
}
