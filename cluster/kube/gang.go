package kube

import (
	"context"
	"errors"
	"fmt"
	"sync"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	schedulingv1beta1 "k8s.io/api/scheduling/v1beta1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"ainexus.io/cluster/kube/v1alpha1"
	"ainexus.io/nexus"
)

// Where the server has it, the kube-scheduler binds the pods of a gang together or not at all: then what a stale plan costs is
// a retry that held nothing meanwhile.

// resourceGroups is how the API server calls what says so.
const resourceGroups = "podgroups"

// binder remembers whether the server has gangs.
type binder struct {
	mu         sync.Mutex
	asked, has bool
}

// groupFor says that the pods of an attempt are bound together.
func groupFor(o *v1alpha1.NexusJob, j nexus.Job) *schedulingv1beta1.PodGroup {
	return &schedulingv1beta1.PodGroup{
		ObjectMeta: metav1.ObjectMeta{Namespace: o.Namespace, Name: attemptName(o.Name, j.Attempt), Labels: labelsOf(o, j.Attempt), OwnerReferences: ownerOf(o)},
		Spec: schedulingv1beta1.PodGroupSpec{SchedulingPolicy: schedulingv1beta1.PodGroupSchedulingPolicy{
			Gang: &schedulingv1beta1.GangSchedulingPolicy{MinCount: int32(len(j.Placement.Seats))},
		}},
	}
}

// inGroup puts the pods of an attempt into its group.
func inGroup(j *batchv1.Job) *batchv1.Job {
	j.Spec.Template.Spec.SchedulingGroup = &corev1.PodSchedulingGroup{PodGroupName: &j.Name}
	return j
}

// bindsGangs reports whether the server has gangs: it is asked once, by a dry run of the first gang. A server without the gate
// drops the field without a word, so what it would have kept is read. An answer that says nothing either way is no.
func (p *Place) bindsGangs(ctx context.Context, s standing) bool {
	p.binder.mu.Lock()
	defer p.binder.mu.Unlock()
	if p.binder.asked {
		return p.binder.has
	}
	group := groupFor(s.object, s.job)
	err := p.clients.scheduling.Post().Namespace(group.Namespace).Resource(resourceGroups).Param("dryRun", metav1.DryRunAll).Timeout(requestPatience).Body(group).Do(ctx).Error()
	if apierrors.IsNotFound(err) {
		p.binder.asked = true
		return false
	}
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return false
	}
	job, kept := inGroup(p.attemptOf(s)), &batchv1.Job{}
	if err := p.clients.batch.Post().Namespace(job.Namespace).Resource(resourceBatch).Param("dryRun", metav1.DryRunAll).Timeout(requestPatience).Body(job).Do(ctx).Into(kept); err != nil {
		return false
	}
	p.binder.asked, p.binder.has = true, kept.Spec.Template.Spec.SchedulingGroup != nil
	return p.binder.has
}

// group makes the group of an attempt, where it is a gang and the server has such.
func (p *Place) group(ctx context.Context, s standing) (made bool, err error) {
	if len(s.job.Placement.Seats) < 2 || scaling(&s.job) || !p.bindsGangs(ctx, s) {
		return false, nil
	}
	group := groupFor(s.object, s.job)
	err = createOnce(ctx, p.clients.scheduling, resourceGroups, group, &schedulingv1beta1.PodGroup{})
	return err == nil, err
}

// ungroup takes the group of an attempt away that is over.
func (p *Place) ungroup(ctx context.Context, s standing) error {
	p.binder.mu.Lock()
	no := p.binder.asked && !p.binder.has
	p.binder.mu.Unlock()
	if no || len(s.job.Placement.Seats) < 2 || isForeign(s.object) {
		return nil
	}
	name := attemptName(s.object.Name, s.job.Attempt)
	err := deleteOwn(ctx, p.clients.scheduling, resourceGroups, s.object.Namespace, name, string(s.object.UID), &schedulingv1beta1.PodGroup{})
	if err != nil && !apierrors.IsForbidden(err) {
		return fmt.Errorf("deleting PodGroup %s: %w", name, err)
	}
	return nil
}

// notMade reports whether an object cannot be made as things stand, so that its attempt goes back in line.
func notMade(err error) bool {
	return errors.Is(err, errInTheWay) || apierrors.IsForbidden(err) || apierrors.IsInvalid(err)
}
