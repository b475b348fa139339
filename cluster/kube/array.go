package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"ainexus.io/cluster/kube/v1alpha1"
	"ainexus.io/nexus"
)

// A NexusJob with spec.array is an array: for each index the controller makes a NexusJob of its own, a member, once, and owned by
// the array, so that it goes with it. The array itself never runs; its record says how its members stand. What is asked of it, to
// hold or to stop, counts for each member that is not asked otherwise, and is written nowhere else.
const (
	// LabelArray on a member is the name of its array.
	LabelArray = v1alpha1.Group + "/array"
	// AnnotationMember on a member is its [nexus.Member] as JSON.
	AnnotationMember = v1alpha1.Group + "/member"
)

const (
	// maxMembers bounds an array: each member is an object of the API server.
	maxMembers = 1000
	// membersAtOnce is how many are made before others have their turn.
	membersAtOnce = 50
	// maxObjectName is that of a NexusJob, as its schema says.
	maxObjectName = 45
)

// reasonArray is the reason of an array whose members are made, until it is over.
const reasonArray = "Array"

// made reports whether the members of an array were made. That is done once: one that was deleted stays away.
func made(o *v1alpha1.NexusJob) bool {
	return o.Status.Reason == reasonArray || nexus.Phase(o.Status.Phase).Over()
}

func isArray(j *nexus.Job) bool { return !j.Spec.Array.IsZero() }

// memberName is that of a member of an array.
func memberName(array string, index int) string { return fmt.Sprintf("%s-%d", array, index) }

// memberOf reads a member's place in its array; nil: it is none's. Arrays of several namespaces may be called the same.
func memberOf(o *v1alpha1.NexusJob) *nexus.Member {
	var m nexus.Member
	if o.Labels[LabelArray] == "" || json.Unmarshal([]byte(o.Annotations[AnnotationMember]), &m) != nil || m.Index < 0 || m.Index > nexus.MaxIndex || m.AtOnce < 0 {
		return nil
	}
	m.Array = key(o.Namespace, o.Labels[LabelArray])
	return &m
}

// unableArray refuses an array that cannot be made here.
func unableArray(o *v1alpha1.NexusJob, s *nexus.Spec) error {
	indices := s.Array.Indices()
	if len(indices) > maxMembers {
		return &nexus.Error{Code: nexus.CodeUnfit, Field: "array", Message: fmt.Sprintf("it has %d members, and on a cluster an array has at most %d", len(indices), maxMembers),
			Hint: "submit it in parts"}
	}
	if longest := memberName(o.Name, indices[len(indices)-1]); len(longest) > maxObjectName {
		return &nexus.Error{Code: nexus.CodeInvalid, Field: "array", Message: fmt.Sprintf("the name %s is too long for an array: that of a member, %s, has %d characters", o.Name, longest, len(longest)),
			Hint: fmt.Sprintf("the name with an index has at most %d", maxObjectName)}
	}
	return nil
}

// memberFor is a member as it is made: the array's spec, as it stands then, for one index.
func memberFor(o *v1alpha1.NexusJob, j *nexus.Job, index int) *v1alpha1.NexusJob {
	title := o.Labels[LabelTitle]
	if title == "" {
		title = o.Name
	}
	m := nexus.Member{Array: o.Name, Name: title, Indices: j.Spec.Array.String(), Index: index, Size: len(j.Spec.Array.Indices()), AtOnce: j.Spec.Array.AtOnce}
	text, err := json.Marshal(m)
	if err != nil {
		panic(err) // it is made of strings and numbers
	}
	made := &v1alpha1.NexusJob{
		TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion().String(), Kind: "NexusJob"},
		ObjectMeta: metav1.ObjectMeta{Namespace: o.Namespace, Name: memberName(o.Name, index), OwnerReferences: ownerOf(o), Labels: maps.Clone(o.Labels),
			Annotations: map[string]string{AnnotationMember: string(text)}},
		Spec: *o.Spec.DeepCopy(),
	}
	if made.Labels == nil {
		made.Labels = map[string]string{}
	}
	made.Labels[LabelArray], made.Labels[LabelTitle] = o.Name, memberName(title, index)
	if code := o.Annotations[AnnotationCode]; code != "" {
		made.Annotations[AnnotationCode] = code
	}
	made.Spec.Array = v1alpha1.Any{}
	return made
}

// arrayOf is the array of a member, as its record stands; nil where it is gone, whoever has its name by now.
func (v *view) arrayOf(o *v1alpha1.NexusJob) *record {
	if name := o.Labels[LabelArray]; name != "" {
		if r := v.jobs[v.names[key(o.Namespace, name)]]; r != nil && metav1.IsControlledBy(o, r.object) {
			return r
		}
	}
	return nil
}

// gather notes that a job is a member, or takes the note back.
func (v *view) gather(id string, r *record, there bool) {
	if r.job.Member == nil {
		return
	}
	array := r.job.Member.Array
	if !there {
		delete(v.families[array], id)
		if len(v.families[array]) == 0 {
			delete(v.families, array)
		}
		return
	}
	if v.families[array] == nil {
		v.families[array] = map[string]*record{}
	}
	v.families[array][id] = r
	v.inherit(r)
}

// inherit has the word of an array count for a member.
func (v *view) inherit(r *record) {
	r.job.HeldBy = r.object.Annotations[AnnotationHold]
	if array := v.arrayOf(r.object); array != nil && r.job.HeldBy == "" {
		r.job.HeldBy = array.object.Annotations[AnnotationHold]
	}
}

// lead has a new word of an array count for its members.
func (v *view) lead(o *v1alpha1.NexusJob) {
	for id, r := range v.families[key(o.Namespace, o.Name)] {
		before := r.job.HeldBy
		if v.inherit(r); r.job.HeldBy != before {
			v.dirtyJobs[id] = true
		}
	}
}

// kin are those who are to be looked at when a job was told: the members of an array, the array of a member, also one that only
// has the name of its array: what is left of an earlier one is in the way of its members until it is gone.
func (v *view) kin(o *v1alpha1.NexusJob) []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	if name := o.Labels[LabelArray]; name != "" {
		if array, ok := v.names[key(o.Namespace, name)]; ok {
			return []string{array}
		}
	}
	return slices.Sorted(maps.Keys(v.families[key(o.Namespace, o.Name)]))
}

// stopped reports whether a job is asked to stop, or its array is.
func (v *view) stopped(o *v1alpha1.NexusJob) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	array := v.arrayOf(o)
	return o.Annotations[AnnotationStop] == string(nexus.StopCancel) || array != nil && array.object.Annotations[AnnotationStop] == string(nexus.StopCancel)
}

// phases are how the members of an array stand, by index.
func (v *view) phases(o *v1alpha1.NexusJob) map[int]nexus.Phase {
	v.mu.Lock()
	defer v.mu.Unlock()
	phases := map[int]nexus.Phase{}
	for _, r := range v.families[key(o.Namespace, o.Name)] {
		if metav1.IsControlledBy(r.object, o) { // else it is of an earlier array of that name, and goes with that
			phases[r.job.Member.Index] = r.job.Phase
		}
	}
	return phases
}

// arrayStep makes the members of an array, and then says how they stand.
func (p *Place) arrayStep(ctx context.Context, s standing) (time.Duration, error) {
	phases := p.view.phases(s.object)
	switch {
	case s.job.Phase.Over():
		return 0, nil
	case made(s.object), p.view.stopped(s.object), s.object.DeletionTimestamp != nil: // no more of them are made, whatever its spec says by now
		return 0, p.sumUp(ctx, s, phases)
	case s.unable != nil:
		return 0, p.tellReason(ctx, s)
	}
	left := membersAtOnce
	for _, index := range s.job.Spec.Array.Indices() {
		if _, there := phases[index]; there {
			continue
		}
		if left == 0 {
			return time.Millisecond, nil
		}
		left--
		if err := p.makeMember(ctx, s, index); err != nil {
			if apierrors.IsForbidden(err) || apierrors.IsInvalid(err) || apierrors.IsAlreadyExists(err) {
				p.log.Error("a member of an array cannot be made", "job", s.object.Namespace+"/"+s.object.Name, "index", index, "error", err)
				return time.Minute, p.tellArray(ctx, s, nexus.Pending, "Members", fmt.Sprintf("member %d cannot be made: %v", index, err))
			}
			return 0, fmt.Errorf("making member %d of %s/%s: %w", index, s.object.Namespace, s.object.Name, err)
		}
	}
	size := len(s.job.Spec.Array.Indices())
	text := fmt.Sprintf("%d members", size)
	if n := s.job.Spec.Array.AtOnce; n > 0 {
		text += fmt.Sprintf(", %d at once", n)
	}
	return 0, p.tellArray(ctx, s, nexus.Pending, reasonArray, text)
}

// makeMember makes one, unless an earlier controller has.
func (p *Place) makeMember(ctx context.Context, s standing, index int) error {
	made, got := memberFor(s.object, &s.job, index), &v1alpha1.NexusJob{}
	err := p.clients.nexus.Post().Namespace(made.Namespace).Resource(resourceJobs).Timeout(requestPatience).Body(made).Do(ctx).Into(got)
	if apierrors.IsAlreadyExists(err) {
		there, wrong := p.clients.job(ctx, made.Namespace, made.Name)
		if wrong != nil || !metav1.IsControlledBy(there, s.object) {
			return err // another's is in the way
		}
		got, err = there, nil
	}
	if err == nil {
		p.view.setJob(got)
	}
	return err
}

// sumUp says how the members stand: in words when all of them are over, before that in a phase.
func (p *Place) sumUp(ctx context.Context, s standing, phases map[int]nexus.Phase) error {
	count := map[nexus.Phase]int{}
	phase, live, over := nexus.Succeeded, 0, 0
	for _, index := range slices.Sorted(maps.Keys(phases)) {
		one := phases[index]
		count[one]++
		switch {
		case one.Over():
			over++
			if phase == nexus.Succeeded {
				phase = one
			}
		case one.Live():
			live++
		}
	}
	text := fmt.Sprintf("of %d members %d succeeded, %d failed, %d were cancelled", len(phases), count[nexus.Succeeded], count[nexus.Failed], count[nexus.Cancelled])
	switch {
	case len(phases) == 0:
		phase, text = nexus.Cancelled, "it has no members any more"
	case over == len(phases):
	case live > 0 || over > 0:
		phase, text = nexus.Running, "its members run"
	default:
		return nil
	}
	if s.job.Phase == phase {
		return nil
	}
	return p.tellArray(ctx, s, phase, reasonArray, text)
}

// tellArray writes how an array stands, where that is news.
func (p *Place) tellArray(ctx context.Context, s standing, phase nexus.Phase, reason, message string) error {
	if st := &s.object.Status; st.Phase == string(phase) && st.Message == message {
		return nil
	}
	return p.change(ctx, string(s.object.UID), func(r record, st *v1alpha1.JobStatus) (string, error) {
		if r.job.Phase.Over() {
			return "", errMoved
		}
		st.Phase, st.Reason, st.Message = string(phase), reason, message
		if phase.Over() {
			st.Finished, st.Reason = micro(p.Now()), string(phase)
		}
		return st.Reason, nil
	})
}
