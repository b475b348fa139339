package kube

import (
	"fmt"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"ainexus.io/cluster/kube/v1alpha1"
	"ainexus.io/nexus"
)

// estimated is an estimate with that in the middle, made at noon.
func estimated(median time.Duration) *nexus.Estimate {
	return &nexus.Estimate{At: noon, Low: noon.Add(median / 2), Median: noon.Add(median), High: noon.Add(2 * median)}
}

// What was told of a place in line is told anew where it is off by enough to matter to who waits.
func TestWhatIsNewsToWhoWaits(t *testing.T) {
	line := func(place int, by time.Duration, e *nexus.Estimate) *v1alpha1.Line {
		var date time.Time
		if by > 0 {
			date = noon.Add(by)
		}
		return lineOf(place, date, e, noon)
	}
	for _, c := range []struct {
		what      string
		told, now *v1alpha1.Line
		news      bool
	}{
		{"nobody has looked", nil, nil, false},
		{"the first look", nil, line(5, 0, nil), true},
		{"nobody has looked since a controller started", line(5, 0, nil), nil, false},
		{"the same", line(5, time.Hour, estimated(time.Hour)), line(5, time.Hour, estimated(time.Hour)), false},
		{"one place of few", line(5, 0, nil), line(4, 0, nil), true},
		{"few places of many", line(5000, 0, nil), line(4600, 0, nil), false},
		{"many places of many", line(5000, 0, nil), line(4400, 0, nil), true},
		{"a first date", line(5, 0, nil), line(5, time.Hour, nil), true},
		{"a date that is off", line(5, 0, nil), line(5, 0, estimated(time.Hour)), true},
		{"no date any more", line(5, time.Hour, nil), line(5, 0, nil), true},
		{"minutes of a day", line(5, 24*time.Hour, nil), line(5, 24*time.Hour+90*time.Minute, nil), false},
		{"hours of a day", line(5, 24*time.Hour, nil), line(5, 20*time.Hour, nil), true},
		{"half a minute of one", line(5, 0, estimated(time.Minute)), line(5, 0, estimated(90*time.Second)), false},
		{"minutes of an hour", line(5, 0, estimated(time.Hour)), line(5, 0, estimated(68*time.Minute)), true},
	} {
		if got := news(c.told, c.now); got != c.news {
			t.Errorf("%s: %v", c.what, got)
		}
	}
}

// Of ten thousand who wait few are written anew at a time: those that are next, and those that were told longest ago. Who
// gets a first date need not wait his minute.
func TestALongLineIsWrittenInTurns(t *testing.T) {
	v, at := newView(), noon
	const many = 10_000
	var holds []nexus.Hold
	for i := range many {
		id := fmt.Sprintf("j%05d", i)
		v.setJob(object(id, "1", "", 0))
		holds = append(holds, nexus.Hold{Job: id, Reason: nexus.Reason{Code: nexus.WaitCapacity, Resource: "gpus", Need: 8}, Place: i + 1})
	}
	v.hold(holds, at)
	write := func(id string, when time.Time) {
		r := v.jobs[id]
		r.stand(&r.object.Status)
		v.toldHold(id, r.hold, when)
	}
	for i, h := range holds {
		v.jobs[h.Job].object.Status.Phase = string(nexus.Pending)
		write(h.Job, at.Add(-time.Duration(many-i)*time.Millisecond))
	}
	if list := v.outdated(at.Add(time.Hour)); len(list) > 0 {
		t.Fatalf("nothing has changed, and %v are written", list)
	}
	p := &Place{view: v}
	half := make([]nexus.Why, 0, many)
	for i, h := range holds {
		half = append(half, nexus.Why{Job: h.Job, Reason: h.Reason, Position: max(1, (i+1)/2)})
	}
	at = at.Add(2 * time.Minute)
	p.Foretell(half, at)
	list := v.outdated(at)
	if len(list) != refreshMost || v.jobs[list[0]].line.Place != 1 {
		t.Fatalf("everybody's place is another, and %d are written: %v", len(list), list)
	}
	first := 0
	for _, id := range list {
		if v.jobs[id].line.Place <= refreshMost {
			first++
		}
		write(id, at)
	}
	if first < refreshMost/2 {
		t.Errorf("of those that are next %d are written", first)
	}
	again := v.outdated(at.Add(refreshEvery))
	for _, id := range again {
		if slices.Contains(list, id) {
			t.Errorf("%s is written twice in a minute", id)
		}
	}
	half[1].Start = at.Add(time.Hour)
	p.Foretell(half[:2], at)
	if again = v.outdated(at.Add(refreshEvery)); !slices.Contains(again, half[1].Job) {
		t.Errorf("the second has a date, and written are %v", again)
	}
}

// Who does not wait any more, or cannot, has no place in line.
func TestAPlaceInLineGoesWithTheWaiting(t *testing.T) {
	v := newView()
	v.setJob(object("a", "1", "", 0))
	v.hold([]nexus.Hold{{Job: "a", Reason: nexus.Reason{Code: nexus.WaitCapacity, Until: noon.Add(time.Hour)}, Start: estimated(time.Minute), Place: 3}}, noon)
	r := v.jobs["a"]
	s := v1alpha1.JobStatus{Phase: string(nexus.Pending)}
	r.stand(&s)
	if l := s.Line; l == nil || l.Place != 3 || !l.StartsBy.Equal(new(metav1.NewTime(noon.Add(time.Hour)))) || l.Expected == nil || !l.AsOf.Time.Equal(noon) {
		t.Fatalf("it stands %+v", s.Line)
	}
	v.hold([]nexus.Hold{{Job: "a", Reason: nexus.Reason{Code: nexus.WaitCapacity, Need: 2}, Place: 2}}, noon)
	if r.stand(&s); s.Line.Place != 2 || s.Line.Expected == nil || !s.Line.StartsBy.IsZero() {
		t.Errorf("with other numbers it stands %+v", s.Line)
	}
	v.hold([]nexus.Hold{{Job: "a", Reason: nexus.Reason{Code: nexus.WaitHeld}, Place: 2}}, noon)
	if r.stand(&s); s.Line.Expected != nil {
		t.Errorf("it is held and starts %+v", s.Line)
	}
	s.Phase = string(nexus.Starting)
	if r.stand(&s); s.Line != nil {
		t.Errorf("it starts and stands %+v", s.Line)
	}
	v.setJob(object("a", "2", nexus.Running, 1))
	v.setJob(object("a", "3", nexus.Pending, 1))
	if s.Phase = string(nexus.Pending); r.line != nil || r.start != nil {
		t.Errorf("it is back in line and stands as before: %+v", r.line)
	}
}
