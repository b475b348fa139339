package proc

import (
	"bufio"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A family that does all it can to get away: children of children, sessions of their own, a parent that exits at
// once, and a chain of forks none of which lives for long.
const family = `
sleep 1000 &
setsid sleep 1001 &
setsid sh -c 'setsid sh -c "sleep 1002 & sleep 1003" & sleep 1004' &
(setsid sleep 1005 &)
setsid sh -c 'chase() { (chase) & }; chase' &
wait
`

// supervisor is a supervising process with its family.
type supervisor struct {
	*exec.Cmd
	name   string
	keeper int
	cgroup string
}

func startSupervisor(t *testing.T, place, line string) supervisor {
	t.Helper()
	needProgram(t, "setsid")
	s := supervisor{name: attemptName(t)}
	s.Cmd = exec.Command(keeperArgv()[0], "supervisor", s.name, place, line)
	s.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	out, err := s.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Process.Kill()
		s.Wait()
	})
	told, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the supervisor said %q: %v", told, err)
	}
	if _, err := fmt.Sscanf(told, "%d", &s.keeper); err != nil {
		t.Fatalf("the supervisor said %q", told)
	}
	_, s.cgroup, _ = strings.Cut(strings.TrimSpace(told), " ")
	return s
}

func TestAKilledSupervisorLeavesNoProcess(t *testing.T) {
	need(t, runtime.GOOS == "linux", "Linux")
	for _, place := range []string{"cgroup", "environment"} {
		t.Run(place, func(t *testing.T) {
			s := startSupervisor(t, place, family)
			need(t, place != "cgroup" || s.cgroup != "", "a cgroup that can be written")
			eventually(t, 10*time.Second, "the family is there", func() bool { return len(Members(s.name, s.cgroup)) >= 8 })
			killed := time.Now()
			s.Process.Kill()
			eventually(t, 10*time.Second, "nothing is left", func() bool { return Empty(s.name, s.cgroup) })
			if took := time.Since(killed); took > time.Second {
				t.Errorf("it took %s", took)
			}
			eventually(t, 5*time.Second, "the keeper goes too", func() bool {
				_, err := Identify(s.keeper)
				return err != nil
			})
			for range 10 { // one look may miss the chain
				if left := Members(s.name, s.cgroup); len(left) > 0 {
					t.Fatalf("came back: %v", left)
				}
			}
		})
	}
}

func TestTheCgroupCatchesWhoShedsItsEnvironment(t *testing.T) {
	need(t, runtime.GOOS == "linux", "Linux")
	s := startSupervisor(t, "cgroup", `env -i setsid sleep 1006 & wait`)
	need(t, s.cgroup != "", "a cgroup that can be written")
	eventually(t, 5*time.Second, "both are there", func() bool { return len(Members(s.name, s.cgroup)) == 2 })
	s.Process.Kill()
	eventually(t, 5*time.Second, "nothing is left", func() bool { return Empty(s.name, s.cgroup) })
}

// A keeper that is killed together with its supervisor leaves the rest to whoever looks: the daemon.
func TestKeeperAndSupervisorKilledTogether(t *testing.T) {
	need(t, runtime.GOOS == "linux", "Linux")
	s := startSupervisor(t, "environment", `setsid sleep 1007 & sleep 1008`)
	eventually(t, 5*time.Second, "all are there", func() bool { return len(Members(s.name, s.cgroup)) == 3 })
	syscall.Kill(s.keeper, syscall.SIGKILL)
	s.Process.Kill()
	s.Wait()
	// The first process dies with its parent's thread; its child in another session does not.
	eventually(t, 5*time.Second, "the shell is gone", func() bool { return len(Members(s.name, s.cgroup)) == 2 })
	if err := KillAttempt(s.name, s.cgroup, 5*time.Second); err != nil {
		t.Fatal(err)
	}
	if !Empty(s.name, s.cgroup) {
		t.Errorf("left: %v", Members(s.name, s.cgroup))
	}
}

func TestAKeeperIsDeafToAllButTheEnd(t *testing.T) {
	name := attemptName(t)
	k, err := StartKeeper(keeperArgv(), name, "")
	if err != nil {
		t.Fatal(err)
	}
	self, err := Identify(k.PID())
	if err != nil {
		t.Fatal(err)
	}
	if group, err := syscall.Getpgid(k.PID()); err != nil || group != k.PID() {
		t.Errorf("group %d: a signal to the supervisor's group would reach the keeper", group)
	}
	k.Stop()
	if self.Alive() {
		t.Error("it stayed after goodbye")
	}
	k.Stop()
}

func TestAKeeperThatCannotBeStarted(t *testing.T) {
	if _, err := StartKeeper([]string{"/nonexistent"}, "a/1", ""); err == nil {
		t.Error("no error")
	}
	if _, err := StartKeeper(nil, "a/1", ""); err == nil {
		t.Error("no error")
	}
}
