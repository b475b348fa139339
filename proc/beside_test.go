//go:build linux

package proc

import (
	"os"
	"slices"
	"syscall"
	"testing"
	"time"
)

// A command beside the processes of an attempt is one of them: in their cgroup, seen by their names, gone when they are killed. It is in
// its caller's session.
func TestACommandBesideIsOfTheAttempt(t *testing.T) {
	name := attemptName(t)
	group, _ := NewCgroup(name, Limits{})
	t.Cleanup(func() { KillAttempt(name, group.String(), 5*time.Second) })
	again := FindCgroup(group.String())
	if group != nil && again.String() != group.String() {
		t.Errorf("found again as %q, was %q", again, group)
	}
	c := shell(name, "sleep 1000")
	c.Shared = true
	p, release, err := Beside(c, again)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if group != nil && !slices.Contains(group.members(), p.PID) {
		t.Errorf("%d is not in %s: %v", p.PID, group, group.members())
	}
	own, _ := readStat(os.Getpid())
	its, err := readStat(p.PID)
	if err != nil || its.session != own.session || its.group != own.group {
		t.Errorf("it is in session %d and group %d, not in %d and %d; %v", its.session, its.group, own.session, own.group, err)
	}
	if err := KillAttempt(name, group.String(), 10*time.Second); err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	if p.Exit().Signal != syscall.SIGKILL {
		t.Errorf("it ended with %+v", p.Exit())
	}
}
