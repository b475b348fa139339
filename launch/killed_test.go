package launch

import (
	"bufio"
	"errors"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"ainexus.io/attempt"
	"ainexus.io/nexus"
	"ainexus.io/proc"
)

// agentProcess is an agent that can be killed.
type agentProcess struct {
	*exec.Cmd
	dir  attempt.Dir
	name string
}

func startAgentProcess(t *testing.T, o nexus.Order) agentProcess {
	t.Helper()
	a := agentProcess{dir: prepare(t, o), name: attempt.Name(o.Job, o.Attempt)}
	a.Cmd = exec.Command(keeperArgv()[0], "agent", string(a.dir))
	a.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := a.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		a.Process.Kill()
		a.Wait()
	})
	return a
}

// members are the processes of the attempt, those of the keeper and the agent aside.
func (a agentProcess) members() []int {
	claimed, _ := a.dir.Agent()
	return proc.Members(a.name, claimed.Cgroup)
}

// A worker with children that try to get away.
const escapers = `
sleep 1000 &
setsid sleep 1001 &
setsid sh -c 'setsid sh -c "sleep 1002 & sleep 1003" & sleep 1004' &
setsid sh -c 'chase() { (chase) & }; chase' &
wait
`

func TestAKilledAgentLeavesNothing(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the system hides the environment of its programs")
	}
	for _, test := range []struct {
		name   string
		first  func(t *testing.T, a agentProcess) // before the agent is killed
		daemon bool                               // only a daemon can clean up
	}{
		{name: "agent"},
		{name: "keeper, then agent", first: func(t *testing.T, a agentProcess) {
			before, _ := a.dir.Agent()
			syscall.Kill(before.Keeper, syscall.SIGKILL)
			eventually(t, 5*time.Second, "there is another keeper", func() bool {
				now, err := a.dir.Agent()
				return err == nil && now.Keeper != before.Keeper
			})
		}},
		{name: "both", first: func(t *testing.T, a agentProcess) {
			before, _ := a.dir.Agent()
			syscall.Kill(before.Keeper, syscall.SIGKILL)
		}, daemon: true},
	} {
		t.Run(test.name, func(t *testing.T) { // one after the other: chains of forks take all processors there are
			a := startAgentProcess(t, order(t, 2, escapers))
			eventually(t, 20*time.Second, "everybody is there", func() bool {
				claimed, _ := a.dir.Agent()
				return len(a.members()) >= 14 && claimed.Keeper > 0
			})
			if test.first != nil {
				test.first(t, a)
			}
			a.Process.Kill()
			a.Wait()
			done := make(chan error, 1)
			go func() {
				if !test.daemon {
					done <- nil
					return
				}
				claimed, _ := a.dir.Agent()
				done <- proc.KillAttempt(a.name, claimed.Cgroup, 5*time.Second) // it goes on looking for a while
			}()
			if !withinASecond(func() bool { return len(a.members()) == 0 }) {
				t.Errorf("after a second there are %v", a.members())
				eventually(t, 20*time.Second, "nobody is left", func() bool { return len(a.members()) == 0 })
			}
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			if left := a.members(); test.daemon && len(left) > 0 {
				t.Errorf("came back: %v", left)
			}
			if locked, err := a.dir.Locked(); locked || err != nil {
				t.Errorf("the lock is held: %v", err)
			}
			if _, err := a.dir.Result(); !attempt.Missing(err) {
				t.Errorf("a killed agent has a result: %v", err)
			}
			if _, err := a.dir.Lock(); !errors.Is(err, attempt.ErrClaimed) {
				t.Errorf("the attempt can be begun again: %v", err)
			}
		})
	}
}

// A laptop that sleeps, a debugger, a machine out of breath: for a minute the agent does not run at all.
func TestAMinuteWithoutTheAgentChangesNothing(t *testing.T) {
	absence := time.Minute
	if testing.Short() {
		absence = 3 * time.Second
	}
	t.Parallel()
	o := trainOrder(t, 2, "")
	o.Spec.NoProgress = nexus.Duration(absence / 2)
	a := startAgentProcess(t, o)
	eventually(t, 20*time.Second, "it trains", func() bool { p, err := a.dir.Progress(1); return err == nil && p.Step > 2 })
	a.Process.Signal(syscall.SIGSTOP)
	before, _ := a.dir.Progress(1)
	time.Sleep(absence)
	if locked, err := a.dir.Locked(); !locked || err != nil {
		t.Errorf("a stopped agent has lost its lock: %v", err)
	}
	a.Process.Signal(syscall.SIGCONT)
	after, err := a.dir.Progress(1)
	if err != nil || after.Step <= before.Step {
		t.Errorf("the workers stood still: %+v %+v %v", before, after, err)
	}
	eventually(t, 20*time.Second, "the lease is renewed", func() bool {
		s, _ := a.dir.Status()
		return s.State == nexus.AgentRunning && s.Round == 0 && time.Since(s.Renewed) < 12*time.Second
	})
	if err := a.dir.WriteStop(nexus.StopOrder{Kind: nexus.StopCancel}); err != nil {
		t.Fatal(err)
	}
	if err := a.Wait(); err != nil {
		t.Fatal(err)
	}
	if result, err := a.dir.Result(); err != nil || result.Ack == nil || result.Charged != 0 {
		t.Errorf("%+v %v", result, err)
	}
}

func TestAnAttemptIsRunOnce(t *testing.T) {
	t.Parallel()
	r := startAgent(t, order(t, 1, `while [ ! -e go ]; do sleep 0.02; done`), AgentOptions{})
	eventually(t, 10*time.Second, "it runs", func() bool { s, _ := r.dir.Status(); return s.State == nexus.AgentRunning })
	if err := Agent(t.Context(), r.dir, AgentOptions{Keeper: keeperArgv()}); !errors.Is(err, attempt.ErrLocked) {
		t.Errorf("a second agent beside the first: %v", err)
	}
	o, _ := r.dir.Order()
	touch(t, filepath.Join(o.Workdir, "go"))
	if result := r.result(); !result.OK {
		t.Errorf("%+v", result)
	}
	if err := Agent(t.Context(), r.dir, AgentOptions{Keeper: keeperArgv()}); !errors.Is(err, attempt.ErrClaimed) {
		t.Errorf("a second agent after the first: %v", err)
	}
}

// A daemon that asks whether the lock is free holds it for an instant.
func TestAProbeDoesNotTurnTheAgentAway(t *testing.T) {
	t.Parallel()
	dir := prepare(t, order(t, 1, "exit 0"))
	probe, err := dir.Lock()
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(100*time.Millisecond, func() { probe.Close() })
	if err := Agent(t.Context(), dir, AgentOptions{Keeper: keeperArgv()}); err != nil {
		t.Error(err)
	}
}

// A worker that succeeds and leaves something running: the attempt is over when that is gone.
func TestSuccessLeavesNoStray(t *testing.T) {
	t.Parallel()
	o := order(t, 1, `setsid sleep 1000 & echo $! >stray; exit 0`)
	result, dir := runAgent(t, o)
	a, _ := dir.Agent()
	if !result.OK || !proc.Empty(attempt.Name(o.Job, 1), a.Cgroup) || strings.TrimSpace(content(t, o.Workdir, "stray")) == "" {
		t.Errorf("%+v", result)
	}
}

// Each round finds an empty store at the same address.
func TestARoundBeginsWithAnEmptyStore(t *testing.T) {
	t.Parallel()
	o := order(t, 1, keeperArgv()[0]+` store`)
	o.RestartsLeft = 2
	result, dir := runAgent(t, o)
	log := bufio.NewScanner(strings.NewReader(content(t, dir.WorkerLog(2, 0))))
	if log.Scan(); result.Round != 2 || log.Text() != "the store was empty" {
		t.Errorf("%+v: %s", result, log.Text())
	}
}
