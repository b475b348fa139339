package kube

import (
	"errors"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"ainexus.io/cluster/kube/v1alpha1"
	"ainexus.io/nexus"
)

func array(indices string) *v1alpha1.NexusJob {
	o := object("sweep", "1", "", 0)
	o.Spec.Array = v1alpha1.Any{Raw: []byte(`"` + indices + `"`)}
	return o
}

// A member is the array's job for one index: it belongs to it, finds its code, and is no array.
func TestAMemberIsItsArraysJob(t *testing.T) {
	o := array("3-9:3%2")
	o.Labels, o.Annotations = map[string]string{LabelTitle: "tune", "team": "a"}, map[string]string{AnnotationCode: "sum/2", AnnotationHold: "root"}
	j, err := jobOf(o, false)
	if err != nil {
		t.Fatal(err)
	}
	made := memberFor(o, &j, 6)
	if made.Name != "sweep-6" || !metav1.IsControlledBy(made, o) || made.Labels["team"] != "a" || made.Labels[LabelTitle] != "tune-6" || made.Annotations[AnnotationHold] != "" {
		t.Errorf("it is %+v", made.ObjectMeta)
	}
	m, err := jobOf(made, false)
	if want := (nexus.Member{Array: "team/sweep", Name: "tune", Indices: "3-9:3%2", Index: 6, Size: 3, AtOnce: 2}); err != nil || m.Member == nil || *m.Member != want || isArray(&m) {
		t.Errorf("it is read as %+v, %v", m.Member, err)
	}
	if o.Labels[LabelArray] != "" || o.Spec.Array.IsZero() {
		t.Error("the array has become its member")
	}
	for indices, want := range map[string]string{"0-1000": "has 1001 members", "0-999": "", "999999": ""} {
		_, err := jobOf(array(indices), false)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", indices, err)
		}
	}
	long := array("0-999")
	long.Name = strings.Repeat("a", 42)
	var refused *nexus.Error
	if _, err := jobOf(long, false); !errors.As(err, &refused) || refused.Field != "array" {
		t.Errorf("a name that is too long: %v", err)
	}
	made.Annotations[AnnotationMember] = `{"index": -1}`
	if m, _ := jobOf(made, false); m.Member != nil {
		t.Errorf("nonsense is read as %+v", m.Member)
	}
}

// The planner hears of members only; what the array is asked counts for them, unless they were asked otherwise.
func TestAnArraysWordCountsForItsMembers(t *testing.T) {
	v, o := newView(), array("0-1")
	j, _ := jobOf(o, false)
	v.setJob(o)
	a, b := memberFor(o, &j, 0), memberFor(o, &j, 1)
	a.UID, a.ResourceVersion, b.UID, b.ResourceVersion = "a", "2", "b", "3"
	b.Annotations[AnnotationHold] = "bob"
	v.setJob(a)
	v.setJob(b)
	if d := told(v); len(d.Jobs) != 2 || d.Jobs[0].Member == nil || d.Jobs[0].HeldBy != "" || d.Jobs[1].HeldBy != "bob" || !d.Jobs[0].Submitted.Before(d.Jobs[1].Submitted) {
		t.Fatalf("at first: %+v", d.Jobs)
	}
	held := o.DeepCopy()
	held.ResourceVersion, held.Annotations = "4", map[string]string{AnnotationHold: "ann", AnnotationStop: "cancel"}
	v.setJob(held)
	if d := told(v); len(d.Jobs) != 1 || d.Jobs[0].ID != "a" || d.Jobs[0].HeldBy != "ann" {
		t.Fatalf("the array is held: %+v", d.Jobs)
	}
	if !v.stopped(a) || !v.stopped(held) || len(v.kin(held)) != 2 || v.kin(a)[0] != "sweep" {
		t.Error("who belongs together is not found")
	}
	if phases := v.phases(o); len(phases) != 2 || phases[1] != nexus.Pending {
		t.Errorf("they stand %v", phases)
	}
	v.dropJob(a)
	if len(v.phases(o)) != 1 {
		t.Errorf("one is gone: %v", v.phases(o))
	}
	// One that comes after it was held is held too.
	v.setJob(a)
	if d := told(v); len(d.Jobs) != 1 || d.Jobs[0].HeldBy != "ann" {
		t.Errorf("it comes back: %+v", d.Jobs)
	}
}

// An array that is made anew has nothing to do with the members that an earlier one of its name left behind, but to wait until they
// are gone: it is looked at again when one is.
func TestMembersOfAnEarlierArrayAreNotThoseOfALater(t *testing.T) {
	v, o := newView(), array("0-1")
	j, _ := jobOf(o, false)
	v.setJob(o)
	left := memberFor(o, &j, 0)
	left.UID, left.ResourceVersion = "left", "2"
	v.setJob(left)
	v.dropJob(o)
	later := array("0-1")
	later.UID, later.ResourceVersion = "later", "3"
	later.Annotations = map[string]string{AnnotationHold: "ann", AnnotationStop: "cancel"}
	v.setJob(later)
	if phases := v.phases(later); len(phases) > 0 {
		t.Errorf("it has members that are not its own: %v", phases)
	}
	if r := v.jobs["left"]; r.job.HeldBy != "" || v.stopped(left) {
		t.Errorf("what it is asked counts for another's: held by %q, stopped %v", r.job.HeldBy, v.stopped(left))
	}
	if kin := v.kin(left); len(kin) != 1 || kin[0] != "later" {
		t.Errorf("when one is gone %v are looked at", kin)
	}
}
