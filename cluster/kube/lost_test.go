package kube

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"ainexus.io/nexus"
)

// A pod that was deleted counts as gone when it is, or when its node can no longer say so and would have killed it.
func TestWhenAPodIsGivenUp(t *testing.T) {
	killBy := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	ready := nodeOf(machine("n1"))
	dark := ready
	dark.State = nexus.Lost
	for _, c := range []struct {
		story string
		pod   pod
		node  nexus.Node
		after time.Duration
		gone  bool
	}{
		{"it runs on a node that is not ready", pod{}, dark, time.Hour, false},
		{"its node is ready and slow", pod{deleting: true}, ready, time.Hour, false},
		{"its node may still kill it", pod{deleting: true}, dark, 5 * time.Second, false},
		{"its node is lost", pod{deleting: true}, dark, 11 * time.Second, true},
	} {
		v := newView()
		v.setNode("n1", &c.node)
		v.setJob(object("a", "5", nexus.Stopping, 1))
		p := c.pod
		p.namespace, p.name, p.job, p.attempt, p.node, p.killBy = "team", "a-1-0", "a", 1, "n1", killBy
		v.setPod("team", "a-1-0", &p)
		s, _ := v.look("a", killBy.Add(c.after))
		if gone := len(s.alive()) == 0; gone != c.gone || gone != (s.darkNode() == "n1") {
			t.Errorf("%s: counts as gone: %v", c.story, gone)
		}
		if wait := s.untilKilled(killBy.Add(c.after)); wait > 0 != (p.deleting && !c.gone) {
			t.Errorf("%s: looked at again after %s", c.story, wait)
		}
	}
}

// The kubelet's words for one trouble alternate; what is told does not.
func TestWhatKeepsAContainerFromStarting(t *testing.T) {
	for reason, want := range map[string]string{
		"ErrImagePull": reasonImage, "ImagePullBackOff": reasonImage, "CreateContainerConfigError": reasonContainer, "ContainerCreating": "", "PodInitializing": "",
	} {
		o := &corev1.Pod{}
		o.Name, o.Spec.NodeName = "a-1-0", "n1"
		o.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "nexus", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: "no such thing"}}}}
		word, why := stuck(o)
		if word != want || want != "" && why != "container nexus of pod a-1-0 on node n1: "+reason+": no such thing" {
			t.Errorf("%s: %q, %q", reason, word, why)
		}
	}
}

// Numbers of reasons are written anew, each job's once a minute, a few at a time, the oldest first.
func TestNumbersAreWrittenAnew(t *testing.T) {
	v, at := newView(), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var holds, news []nexus.Hold
	for i := range refreshMost + 5 {
		id := fmt.Sprintf("j%02d", i)
		v.setJob(object(id, "1", "", 0))
		holds = append(holds, nexus.Hold{Job: id, Reason: nexus.Reason{Code: nexus.WaitCapacity, Resource: "gpus", Need: 8, Have: 2}})
		news = append(news, nexus.Hold{Job: id, Reason: nexus.Reason{Code: nexus.WaitCapacity, Resource: "gpus", Need: 8, Have: 3}})
	}
	if changed := v.hold(holds, at); len(changed) != len(holds) {
		t.Fatalf("at first %d are told", len(changed))
	}
	for i, h := range holds {
		v.jobs[h.Job].object.Status.Line = v.jobs[h.Job].line
		v.toldHold(h.Job, h.Reason, at.Add(time.Duration(i)*time.Millisecond))
	}
	if changed := v.hold(news, at); len(changed) != 0 || len(v.outdated(at.Add(59*time.Second))) != 0 {
		t.Fatalf("numbers alone are told at once: %v", changed)
	}
	first := v.outdated(at.Add(2 * time.Minute))
	if len(first) != refreshMost || first[0] != "j00" {
		t.Fatalf("then %v", first)
	}
	for i, id := range first {
		v.toldHold(id, news[i].Reason, at.Add(2*time.Minute))
	}
	if rest := v.outdated(at.Add(2 * time.Minute)); len(rest) != 5 || rest[0] != fmt.Sprintf("j%02d", refreshMost) {
		t.Fatalf("and then %v", rest)
	}
}
