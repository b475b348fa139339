//go:build linux

package proc

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// limited is a group whose cgroup holds limits, on a machine that lets us.
func limited(t *testing.T, limits Limits) (*Group, *Cgroup, string) {
	t.Helper()
	name := attemptName(t)
	c, notes := NewCgroup(name, limits)
	t.Cleanup(func() { KillAttempt(name, c.String(), 5*time.Second) })
	need(t, c != nil && len(notes) == 0, "cgroups that take limits ("+strings.Join(notes, "; ")+")")
	g := NewGroup(name, c)
	t.Cleanup(g.Close)
	return g, c, name
}

func TestTheMemoryLimitHoldsAndItsVictimIsCounted(t *testing.T) {
	g, c, name := limited(t, Limits{Memory: 64 << 20})
	if c.OOMKills() != 0 {
		t.Fatalf("%d kills before anything ran", c.OOMKills())
	}
	hungry := shell(name, "")
	hungry.Path, hungry.Argv = keeperArgv()[0], []string{"test", "eat"}
	started, err := g.Start(hungry, shell(name, "exit 0"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range started {
		select {
		case <-p.Done():
		case <-time.After(30 * time.Second):
			t.Fatal("the limit does not hold")
		}
	}
	if e := started[0].Exit(); e.Signal != syscall.SIGKILL || c.OOMKills() == 0 {
		t.Errorf("%+v, %d kills counted", e, c.OOMKills())
	}
	if !started[1].Exit().OK() {
		t.Errorf("its neighbour: %+v", started[1].Exit())
	}
	if err := KillAttempt(name, c.String(), 5*time.Second); err != nil {
		t.Error(err)
	}
	for _, dir := range strings.Split(c.String(), ":") {
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s is left", dir)
		}
	}
}

func TestTheCPULimitHolds(t *testing.T) {
	g, c, name := limited(t, Limits{CPU: 100})
	if _, err := g.Start(shell(name, "while :; do :; done")); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, "the busy loop is held back", func() bool {
		for _, dir := range c.dirs() {
			data, _ := os.ReadFile(filepath.Join(dir, "cpu.stat"))
			for line := range strings.Lines(string(data)) {
				if count, ok := strings.CutPrefix(strings.TrimSpace(line), "nr_throttled "); ok && count != "0" {
					return true
				}
			}
		}
		return false
	})
	if err := g.Kill(5 * time.Second); err != nil {
		t.Error(err)
	}
}

// Between rounds the cgroup stays, and a second round is born in it.
func TestACgroupServesManyRounds(t *testing.T) {
	g, c, name := limited(t, Limits{Memory: 256 << 20})
	for range 3 {
		if _, err := g.Start(shell(name, "env -i sleep 1000 & env -i setsid sleep 1001 & wait"), shell(name, "exec sleep 1002")); err != nil {
			t.Fatal(err)
		}
		eventually(t, 5*time.Second, "all are counted", func() bool { return len(c.members()) == 4 })
		if err := g.Kill(5 * time.Second); err != nil {
			t.Fatal(err)
		}
		if left := c.members(); len(left) > 0 {
			t.Fatalf("left: %v", left)
		}
	}
}

func TestNoCgroupIsNoTrouble(t *testing.T) {
	var none *Cgroup
	if none.String() != "" || none.OOMKills() != 0 || none.kill(true) != 0 || none.members() != nil || none.remove() != 0 {
		t.Error("none does something")
	}
	if left := openCgroup("/sys/fs/cgroup/nonexistent:/nowhere"); left.kill(true) != 0 || left.remove() != 0 {
		t.Error("a cgroup that is gone has members")
	}
}

// A supervisor that died before it could say where its cgroup is.
func TestAForgottenCgroupIsFoundAndRemoved(t *testing.T) {
	name := attemptName(t)
	c, _ := NewCgroup(name, Limits{})
	need(t, c != nil, "a cgroup that can be written")
	g := NewGroup(name, c)
	defer g.Close()
	if _, err := g.Start(shell(name, "env -i setsid sleep 1000 & wait")); err != nil {
		t.Fatal(err)
	}
	eventually(t, 5*time.Second, "both are there", func() bool { return len(c.members()) == 2 })
	if err := KillAttempt(name, "", 5*time.Second); err != nil {
		t.Fatal(err)
	}
	for _, dir := range c.dirs() {
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s is left", dir)
		}
	}
}

// Where the kernel knows no start inside of a cgroup, the process is moved there at once.
func TestAProcessIsMovedWhereItCannotBeBorn(t *testing.T) {
	name := attemptName(t)
	c, _ := NewCgroup(name, Limits{})
	need(t, c != nil && c.unified != "", "a cgroup of version 2 that can be written")
	t.Cleanup(func() { KillAttempt(name, c.String(), 5*time.Second) })
	if !c.mayBeToBlame(syscall.ENOSYS) || c.mayBeToBlame(syscall.ENOENT) || (*Cgroup)(nil).mayBeToBlame(syscall.ENOSYS) {
		t.Error("the wrong errors are blamed on the cgroup")
	}
	g := NewGroup(name, nil)
	defer g.Close()
	started, err := g.Start(shell(name, "exec sleep 1000"))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.take(started[0].PID); err != nil || len(c.members()) != 1 {
		t.Errorf("%v %v", c.members(), err)
	}
}

func TestChildrenAndPrograms(t *testing.T) {
	name := attemptName(t)
	g := NewGroup(name, nil)
	defer g.Close()
	started, err := g.Start(shell(name, "sleep 1000 & (sleep 1001; :) & wait"))
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, 5*time.Second, "it has two children", func() bool { return len(ChildrenOf(started[0].PID)) == 2 })
	real, err := filepath.EvalSymlinks("/bin/sh")
	if err != nil || Program(started[0].PID) != real {
		t.Errorf("%s, not %s: %v", Program(started[0].PID), real, err)
	}
	if err := g.Kill(5 * time.Second); err != nil {
		t.Fatal(err)
	}
	if left := ChildrenOf(started[0].PID); len(left) > 0 || Program(started[0].PID) != "" {
		t.Errorf("a process that is gone has children: %v", left)
	}
}

// What is given back comes again when it is needed.
func TestASlimProcessStillWorks(t *testing.T) {
	before := MachineOOMKills()
	Slim()
	if after := MachineOOMKills(); after < before {
		t.Errorf("%d, then %d", before, after)
	}
	if c := (Clock{}).OrSystem(); c.Mono() < 0 || time.Since(c.Wall()) > time.Minute {
		t.Error("the clocks are wrong")
	}
}
