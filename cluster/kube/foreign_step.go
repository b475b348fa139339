package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"ainexus.io/cluster/kube/v1alpha1"
	"ainexus.io/nexus"
)

// put writes a record: the status of a NexusJob, or of a foreign Job its annotation, in one write with what it means for
// the Job. An attempt of a foreign Job is from one unsuspension to the next suspension.
func (p *Place) put(ctx context.Context, next *v1alpha1.NexusJob) (*v1alpha1.NexusJob, error) {
	if !isForeign(next) {
		return p.clients.putStatus(ctx, next)
	}
	j := p.foreign.get(string(next.UID))
	if j == nil || j.ResourceVersion != next.ResourceVersion {
		return nil, apierrors.NewConflict(schema.GroupResource{Group: batchv1.GroupName, Resource: resourceBatch}, next.Name, errMoved)
	}
	state, err := stateText(next)
	if err != nil {
		return nil, err
	}
	spec := map[string]any{}
	switch phase := nexus.Phase(next.Status.Phase); {
	case phase == nexus.Pending, phase == nexus.Stopping:
		spec["suspend"] = true
	case phase == nexus.Starting && suspended(j):
		if j, err = p.clients.forgetStart(ctx, j); err != nil {
			return nil, err
		}
		spec["suspend"], spec["template"] = false, p.template(j, next)
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"resourceVersion": j.ResourceVersion, "uid": j.UID,
			"annotations": map[string]string{AnnotationState: state, AnnotationReason: next.Status.Reason + ": " + next.Status.Message}},
		"spec": spec,
	})
	if err != nil {
		return nil, fmt.Errorf("writing the record of Job %s/%s: %w", next.Namespace, next.Name, err)
	}
	got, err := p.clients.patchBatch(ctx, j, "", patch)
	if err != nil {
		return nil, err
	}
	p.foreign.set(got)
	return p.standIn(got), nil
}

// template is what of a suspended Job's pods is set when it begins: whose they are, and the nodes that were planned.
func (p *Place) template(j *batchv1.Job, next *v1alpha1.NexusJob) map[string]any {
	own := &j.Spec.Template.Spec
	names := make([]string, len(next.Status.Seats))
	for i, s := range next.Status.Seats {
		names[i] = s.Node
	}
	tolerations := own.Tolerations
	gpu := corev1.Toleration{Key: string(ResourceGPU), Operator: corev1.TolerationOpExists}
	if !slices.Contains(tolerations, gpu) {
		tolerations = append(slices.Clone(tolerations), gpu)
	}
	return map[string]any{
		"metadata": map[string]any{"labels": map[string]string{LabelJob: string(j.UID), LabelName: j.Name, LabelAttempt: strconv.Itoa(next.Status.Attempt)}},
		"spec": map[string]any{"tolerations": tolerations, "affinity": map[string]any{"nodeAffinity": map[string]any{
			"requiredDuringSchedulingIgnoredDuringExecution": among(own.Affinity, names),
		}}},
	}
}

// fetch reads a job as the API server now has it.
func (p *Place) fetch(ctx context.Context, o *v1alpha1.NexusJob) (*v1alpha1.NexusJob, error) {
	if !isForeign(o) {
		return p.clients.job(ctx, o.Namespace, o.Name)
	}
	j, err := p.clients.attempt(ctx, o.Namespace, o.Name)
	if err != nil {
		return nil, err
	}
	if j == nil {
		return nil, apierrors.NewNotFound(schema.GroupResource{Group: batchv1.GroupName, Resource: resourceBatch}, o.Name)
	}
	p.foreign.set(j)
	return p.standIn(j), nil
}

func (c *clients) patchBatch(ctx context.Context, j *batchv1.Job, part string, patch []byte) (*batchv1.Job, error) {
	got := &batchv1.Job{}
	request := c.batch.Patch(types.MergePatchType).Namespace(j.Namespace).Resource(resourceBatch).Name(j.Name)
	if part != "" {
		request = request.SubResource(part)
	}
	err := request.Timeout(requestPatience).Body(patch).Do(ctx).Into(got)
	return got, err
}

// forgetStart takes the start of an earlier attempt out of a suspended Job: until that is gone the API server lets nobody
// choose its nodes anew.
func (c *clients) forgetStart(ctx context.Context, j *batchv1.Job) (*batchv1.Job, error) {
	if j.Status.StartTime == nil {
		return j, nil
	}
	patch := fmt.Appendf(nil, `{"metadata":{"resourceVersion":%q},"status":{"startTime":null}}`, j.ResourceVersion)
	return c.patchBatch(ctx, j, "status", patch)
}

// foreignStep is [Place.step] for a Job of somebody's.
func (p *Place) foreignStep(ctx context.Context, s standing) (again time.Duration, err error) {
	switch phase := s.job.Phase; {
	case phase.Over():
	case phase == nexus.Pending:
		err = p.tellReason(ctx, s)
	case phase == nexus.Stopping:
		if len(s.alive()) == 0 {
			err = p.conclude(ctx, s)
		}
	default:
		again, err = p.foreignLiving(ctx, s)
	}
	if errors.Is(err, errMoved) {
		return 0, nil
	}
	return again, err
}

// foreignLiving goes on with an attempt that nobody asked to stop.
func (p *Place) foreignLiving(ctx context.Context, s standing) (time.Duration, error) {
	id := string(s.object.UID)
	j := p.foreign.get(id)
	if j == nil {
		return 0, nil
	}
	if suspended(j) { // somebody did: it waits again
		if len(s.alive()) > 0 {
			return 0, nil
		}
		at := p.Now()
		return 0, p.change(ctx, id, func(r record, st *v1alpha1.JobStatus) (string, error) {
			if !r.job.Phase.Live() || r.job.Attempt != s.job.Attempt {
				return "", errMoved
			}
			return p.end(r, st, nexus.Result{Attempt: r.job.Attempt, Cause: nexus.CauseNode, Exit: 1, Message: "somebody suspended it"}, at), nil
		})
	}
	if s.job.Phase == nexus.Running {
		return 0, nil
	}
	running := 0
	for _, pod := range s.pods {
		if pod.running || pod.over {
			running++
		}
		if pod.unschedulable == "" || pod.node != "" {
			continue
		}
		if left := p.opts.Unschedulable - p.Now().Sub(pod.since); left > 0 {
			return left, nil
		}
		return 0, p.stopRunning(ctx, id, stopUnadmit, "no room was found: "+pod.unschedulable)
	}
	if running < podsOf(j) {
		return 0, nil
	}
	return 0, p.change(ctx, id, func(r record, st *v1alpha1.JobStatus) (string, error) {
		if !s.still(&r, nexus.Starting) {
			return "", errMoved
		}
		st.Phase, st.Reason, st.Message = string(nexus.Running), "Running", fmt.Sprintf("it runs on %s", nodesOf(r.job.Placement.Seats))
		return "Running", nil
	})
}
