package kube

import (
	"context"
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"ainexus.io/nexus"
)

// begin creates what an attempt consists of: first what gives its pods names, then the pods. What the watch has not
// told of is asked for: a Job that is there is this attempt's, and one that is not, though it was made, was deleted, which
// ends the attempt. Where what is needed cannot be had now, the attempt goes back in line.
func (p *Place) begin(ctx context.Context, s standing) error {
	id, name := string(s.object.UID), attemptName(s.object.Name, s.job.Attempt)
	var there *batchv1.Job
	if s.placed != s.job.Attempt || s.made >= s.job.Attempt { // who has only just recorded an attempt himself knows that it has no Job
		var err error
		if there, err = p.clients.attempt(ctx, s.object.Namespace, name); err != nil {
			return fmt.Errorf("looking for Job %s: %w", name, err)
		}
	}
	switch {
	case there != nil && there.Labels[LabelJob] == id:
		p.view.makes(id, s.job.Attempt)
		return nil // the watch brings it
	case s.job.Phase == nexus.Running || s.made >= s.job.Attempt:
		return p.conclude(ctx, s)
	case there != nil:
		return p.stopRunning(ctx, id, stopUnadmit, "no room was found: a Job "+name+" that is none of its own is in the way")
	}
	if len(s.job.Placement.Seats) > 1 {
		service := serviceFor(s.object)
		err := p.clients.createService(ctx, service)
		if notMade(err) {
			return p.stopRunning(ctx, id, stopUnadmit, fmt.Sprintf("no room was found: Service %s cannot be made: %v", service.Name, err))
		}
		if err != nil {
			return fmt.Errorf("creating Service %s: %w", service.Name, err)
		}
		if err := p.opens(ctx, s); notMade(err) {
			return p.stopRunning(ctx, id, stopUnadmit, fmt.Sprintf("no room was found: NetworkPolicy %s cannot be made: %v", service.Name, err))
		} else if err != nil {
			return err
		}
	}
	if s.job.Spec.Resources.Share() && !p.view.onCards(&s.job) {
		claim := claimFor(s.object, s.job, p.view.devicesOf(s.job.Placement.Seats))
		err := p.clients.createClaim(ctx, claim)
		if notMade(err) {
			return p.stopRunning(ctx, id, stopUnadmit, fmt.Sprintf("no room was found: ResourceClaimTemplate %s cannot be made: %v", claim.Name, err))
		}
		if err != nil {
			return fmt.Errorf("creating ResourceClaimTemplate %s: %w", claim.Name, err)
		}
	}
	if s.job.Spec.Code != "" && p.opts.LauncherImage == "" {
		return p.refused(ctx, s, errNoLauncher)
	}
	grouped, err := p.group(ctx, s)
	if notMade(err) {
		return p.stopRunning(ctx, id, stopUnadmit, fmt.Sprintf("no room was found: PodGroup %s cannot be made: %v", name, err))
	}
	if err != nil {
		return fmt.Errorf("creating PodGroup %s: %w", name, err)
	}
	attempt := p.attemptOf(s)
	if grouped {
		attempt = inGroup(attempt)
	}
	p.view.makes(id, s.job.Attempt)
	err = p.clients.createAttempt(ctx, attempt)
	switch { // one that exists is asked for the next time
	case err == nil:
		return nil
	case apierrors.IsInvalid(err): // it will be so the next time too
		return p.refused(ctx, s, err)
	}
	p.view.unmakes(id, s.job.Attempt)
	if apierrors.IsForbidden(err) {
		return p.stopRunning(ctx, id, stopUnadmit, fmt.Sprintf("no room was found: Job %s cannot be made: %v", name, err))
	}
	return fmt.Errorf("creating Job %s: %w", name, err)
}
