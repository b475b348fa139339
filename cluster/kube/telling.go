package kube

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"ainexus.io/cluster/kube/v1alpha1"
	"ainexus.io/nexus"
)

// The conditions of a NexusJob.
const (
	ConditionAdmitted  = "Admitted"
	ConditionRunning   = "Running"
	ConditionSucceeded = "Succeeded"
	ConditionFailed    = "Failed"
	ConditionCancelled = "Cancelled"
)

// setConditions makes the conditions say what the phase says.
func setConditions(o *v1alpha1.NexusJob, at time.Time) {
	s := &o.Status
	phase := nexus.Phase(s.Phase)
	set := func(kind string, is bool) {
		status := metav1.ConditionFalse
		if is {
			status = metav1.ConditionTrue
		}
		meta.SetStatusCondition(&s.Conditions, metav1.Condition{Type: kind, Status: status, Reason: s.Reason, Message: s.Message,
			ObservedGeneration: o.Generation, LastTransitionTime: metav1.NewTime(at.Truncate(time.Second))})
	}
	set(ConditionAdmitted, phase.Live())
	if phase != nexus.Pending || s.Attempt > 0 {
		set(ConditionRunning, phase == nexus.Running)
	}
	for kind, of := range map[string]nexus.Phase{ConditionSucceeded: nexus.Succeeded, ConditionFailed: nexus.Failed, ConditionCancelled: nexus.Cancelled} {
		if phase == of {
			set(kind, true)
		}
	}
}

// camel makes one word of a code: "user_limit" becomes UserLimit.
func camel(code string) string {
	word := ""
	for part := range strings.SplitSeq(code, "_") {
		if part != "" {
			word += strings.ToUpper(part[:1]) + part[1:]
		}
	}
	return word
}

// usual reports whether an Event is one of a job with which nothing is amiss, as most are. Where jobs start by the thousand
// they would keep the API server as busy as the jobs do: beyond so many a second they are left out, since the status
// says all of it too. Of the others some are only where a thousand wait to be posted.
func usual(what string) bool {
	return what == "Admitted" || what == "Running" || what == string(nexus.Succeeded)
}

const (
	usualRate  = 10 // a second
	usualBurst = 500
)

// tell posts an Event about a job, unless it has no name. One that cannot be posted is logged: the job matters more.
func (p *Place) tell(o *v1alpha1.NexusJob, what string) {
	if what == "" || usual(what) && !p.usual.TryAccept() {
		return
	}
	kind := corev1.EventTypeNormal
	if o.Status.Phase == string(nexus.Failed) || slices.Contains([]string{"NodeLost", "Invalid", reasonImage, reasonContainer}, what) {
		kind = corev1.EventTypeWarning
	}
	about := corev1.ObjectReference{APIVersion: v1alpha1.GroupVersion().String(), Kind: "NexusJob", Namespace: o.Namespace,
		Name: o.Name, UID: o.UID, ResourceVersion: o.ResourceVersion}
	if isForeign(o) {
		about.APIVersion, about.Kind = o.APIVersion, o.Kind
	}
	now := metav1.NewTime(p.Now())
	e := &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: o.Namespace, Name: fmt.Sprintf("%s.%x", o.Name, p.Now().UnixNano())},
		InvolvedObject: about, Reason: what, Message: o.Status.Message, Type: kind, FirstTimestamp: now, LastTimestamp: now, Count: 1,
		Source: corev1.EventSource{Component: "nexus-controller"},
	}
	to := p.events
	if kind == corev1.EventTypeWarning {
		to = p.warnings
	}
	select {
	case to <- e:
	default: // too many at once: the status says it too
	}
}

// post posts Events, one after the other.
func (p *Place) post() {
	for e := p.next(); e != nil; e = p.next() {
		ctx, cancel := context.WithTimeout(p.ctx, requestPatience)
		if err := p.clients.createEvent(ctx, e); err != nil && p.ctx.Err() == nil {
			p.log.Warn("posting an Event", "job", e.InvolvedObject.Name, "event", e.Reason, "error", err)
		}
		cancel()
	}
}

// next is the Event to be posted next, what is amiss before all else; nil when the place stops.
func (p *Place) next() *corev1.Event {
	select {
	case e := <-p.warnings:
		return e
	default:
	}
	select {
	case e := <-p.warnings:
		return e
	case e := <-p.events:
		return e
	case <-p.ctx.Done():
		return nil
	}
}
