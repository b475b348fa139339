package local

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ainexus.io/api"
	"ainexus.io/attempt"
	"ainexus.io/nexus"
	"ainexus.io/proc"
)

// daemonProcess is a place in a process of its own.
type daemonProcess struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

func startProcess(t *testing.T, state string, env ...string) *daemonProcess {
	t.Helper()
	d := &daemonProcess{cmd: exec.Command(os.Args[0])}
	d.cmd.Env = append([]string{"LOCAL_TEST_ROLE=daemon", "LOCAL_TEST_STATE=" + state, "GORACE=atexit_sleep_ms=0"}, env...)
	d.cmd.Stderr = os.Stderr
	in, err := d.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := d.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	d.in, d.out = in, bufio.NewScanner(out)
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.cmd.Process.Kill(); d.cmd.Wait() })
	if !d.out.Scan() {
		t.Fatal("the daemon did not start")
	}
	return d
}

// submit gives the id, once it is acknowledged; "" when the daemon died before.
func (d *daemonProcess) submit(t *testing.T, s api.Submission) string {
	t.Helper()
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = d.in.Write(append(data, '\n')) // it may be dead
	if !d.out.Scan() {
		return ""
	}
	return d.out.Text()
}

// Wherever between two writes the daemon is killed, the next one goes on: nothing is lost, nothing is begun twice.
func TestKilledBetweenAnyTwoWrites(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		step   string
		cancel bool
	}{
		{"submitted", false}, {"decided", false}, {"prepared", false}, {"spawned", false}, {"running", false},
		{"cleared", false}, {"concluded", false},
		{"to be stopped", true}, {"told to stop", true}, {"cleared", true}, {"concluded", true},
	} {
		t.Run(fmt.Sprint(row.step, " cancel=", row.cancel), func(t *testing.T) {
			t.Parallel()
			state := t.TempDir()
			s := submission(t, "echo began >> runs; sleep 0.3")
			if row.cancel {
				s.Key, s.Spec.Run.Shell = "cancel", "echo began >> runs; sleep 60"
			}
			d := startProcess(t, state, "LOCAL_TEST_DIE="+row.step)
			id := d.submit(t, s)
			if err := d.cmd.Wait(); err == nil || d.cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
				t.Fatalf("the daemon did not die there: %v", err)
			}
			p := start(t, testOptions(state))
			list, err := p.List(t.Context(), api.Filter{})
			if err != nil || len(list) != 1 || id != "" && list[0].ID != id {
				t.Fatalf("%d jobs are there, acknowledged was %q, %v", len(list), id, err)
			}
			phase := nexus.Succeeded
			if row.cancel {
				phase = nexus.Cancelled
			}
			v := awaitPhase(t, p, list[0].ID, phase)
			runs, _ := os.ReadFile(filepath.Join(s.Dir, "runs"))
			if string(runs) != "began\n" || v.Attempt != 1 {
				t.Errorf("it ran as %q in %d attempts", runs, v.Attempt)
			}
			if !proc.Empty(attempt.Name(v.ID, 1), "") {
				t.Error("processes of it are left")
			}
		})
	}
}

func TestASecondDaemonIsRefused(t *testing.T) {
	t.Parallel()
	opts := testOptions(t.TempDir())
	p := start(t, opts)
	_, err := New(t.Context(), opts)
	e := refusal(err)
	if want := fmt.Sprintf("a daemon (pid %d) already uses %s", os.Getpid(), opts.State); e.Message != want || e.Hint == "" {
		t.Errorf("the second daemon is told %q", e.Message)
	}
	awaitPhase(t, p, submit(t, p, "true").ID, nexus.Succeeded)
	if info, err := os.Stat(opts.State); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the state directory is %v, %v", info.Mode(), err)
	}
}

// A full disk refuses in words. What was acknowledged before is there, and runs once there is room.
func TestAFullDiskLosesNothing(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	d := startProcess(t, state, fmt.Sprint("LOCAL_TEST_FSIZE=", 1<<20))
	var acknowledged []string
	for len(acknowledged) < 5000 {
		s := submission(t, "true")
		s.Env["PAD"] = strings.Repeat("x", 4000)
		s.Spec.Resources.CPU = 1
		id := d.submit(t, s)
		if id == "" {
			break
		}
		acknowledged = append(acknowledged, id)
	}
	if err := d.cmd.Wait(); err == nil || len(acknowledged) == 0 {
		t.Fatalf("the disk was never full: %d jobs, %v", len(acknowledged), err)
	}
	t.Logf("%d jobs were acknowledged", len(acknowledged))
	p := start(t, testOptions(state))
	for _, id := range acknowledged {
		if _, err := p.Job(t.Context(), id); err != nil {
			t.Fatalf("job %s was acknowledged: %v", id, err)
		}
	}
	awaitPhase(t, p, acknowledged[0], nexus.Succeeded)
}

// agentOf waits for the agent of a running job.
func agentOf(t *testing.T, p *Place, id string) int {
	t.Helper()
	v := awaitPhase(t, p, id, nexus.Running)
	agent, err := p.dirOf(id, v.Attempt).Agent()
	if err != nil {
		t.Fatal(err)
	}
	return agent.PID
}

func TestALostAgentCostsNothing(t *testing.T) {
	t.Parallel()
	p := start(t, testOptions(t.TempDir()))
	s := submission(t, "test -e done && exit 0; touch done; sleep 60 & setsid sleep 60 & sleep 60")
	s.Spec.Restart.Max = 2
	job, err := p.Submit(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	pid := agentOf(t, p, job.ID)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(filepath.Join(s.Dir, "done")); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the worker never began")
		}
	}
	syscall.Kill(pid, syscall.SIGKILL)
	v := awaitPhase(t, p, job.ID, nexus.Succeeded)
	if v.Attempt != 2 || v.RestartsUsed != 0 {
		t.Errorf("it took %d attempts and %d restarts", v.Attempt, v.RestartsUsed)
	}
	if left := proc.Members(attempt.Name(job.ID, 1), ""); len(left) != 0 {
		t.Errorf("of its first attempt %v are left", left)
	}
}

// A stopped agent is told of and left alone; what it does once it goes on counts.
func TestAStoppedAgentIsLeftAlone(t *testing.T) {
	t.Parallel()
	opts := testOptions(t.TempDir())
	opts.Silence = 200 * time.Millisecond
	p := start(t, opts)
	job := submit(t, p, "sleep 0.5")
	pid := agentOf(t, p, job.ID)
	syscall.Kill(pid, syscall.SIGSTOP)
	events, err := p.Events(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	for e := range events {
		if e.Kind == nexus.EventNote && strings.Contains(e.Message, "stopped?") {
			break
		}
	}
	if v, _ := p.Job(t.Context(), job.ID); v.Phase != nexus.Running || v.Attempt != 1 {
		t.Errorf("it is %s in attempt %d", v.Phase, v.Attempt)
	}
	syscall.Kill(pid, syscall.SIGCONT)
	if v := awaitPhase(t, p, job.ID, nexus.Succeeded); v.Attempt != 1 {
		t.Errorf("it took %d attempts", v.Attempt)
	}
}

// One that is to stop and does not is killed after the grace and a margin.
func TestAStoppedAgentCannotHoldACancel(t *testing.T) {
	t.Parallel()
	opts := testOptions(t.TempDir())
	opts.StopMargin = 200 * time.Millisecond
	p := start(t, opts)
	s := submission(t, "sleep 60")
	s.Spec.Checkpoint = &nexus.CheckpointSpec{Path: "c", Grace: nexus.Duration(100 * time.Millisecond)}
	job, err := p.Submit(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	syscall.Kill(agentOf(t, p, job.ID), syscall.SIGSTOP)
	if _, err := p.Cancel(t.Context(), job.ID); err != nil {
		t.Fatal(err)
	}
	v := awaitPhase(t, p, job.ID, nexus.Cancelled)
	if !proc.Empty(attempt.Name(v.ID, 1), "") {
		t.Error("processes of it are left")
	}
}

// The daemon is away, and when it is back the wall clock is off by a day: the job runs on, and its time goes forward.
func TestAwayForADay(t *testing.T) {
	t.Parallel()
	for _, off := range []time.Duration{10 * time.Minute, 24 * time.Hour, -24 * time.Hour} {
		t.Run(off.String(), func(t *testing.T) {
			t.Parallel()
			opts := testOptions(t.TempDir())
			p := start(t, opts)
			lasting, ending := submit(t, p, "sleep 60"), submit(t, p, "sleep 0.2")
			pid := agentOf(t, p, lasting.ID)
			agentOf(t, p, ending.ID)
			before := p.Now()
			if err := p.Stop(); err != nil {
				t.Fatal(err)
			}
			dir := p.dirOf(ending.ID, 1)
			for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
				if locked, err := dir.Locked(); err == nil && !locked {
					break
				}
				if time.Now().After(deadline) {
					t.Fatal("the job does not end without a daemon")
				}
			}
			opts.Clock.Wall = func() time.Time { return time.Now().Add(off) }
			p = start(t, opts)
			if v := awaitPhase(t, p, ending.ID, nexus.Succeeded); v.Attempt != 1 || v.Finished.Before(v.Started) {
				t.Errorf("it ended as %+v", v.Job)
			}
			if v := awaitPhase(t, p, lasting.ID, nexus.Running); v.Attempt != 1 || agentOf(t, p, lasting.ID) != pid {
				t.Errorf("it runs as attempt %d", v.Attempt)
			}
			if now := p.Now(); now.Before(before) {
				t.Errorf("time went from %v back to %v", before, now)
			}
		})
	}
}

// The attempt directory is deleted while no daemon looks. The agent that lost it is found all the same and ended before
// the next attempt begins, and the budget, of which no record is left, counts as spent.
func TestADeletedDirectory(t *testing.T) {
	t.Parallel()
	opts := testOptions(t.TempDir())
	p := start(t, opts)
	s := submission(t, "sleep 60")
	s.Spec.Restart.Max = 2
	job, err := p.Submit(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	pid := agentOf(t, p, job.ID)
	first, err := proc.Identify(pid)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(opts.State, "attempts", job.ID)); err != nil {
		t.Fatal(err)
	}
	p = start(t, opts)
	v := await(t, p, job.ID, "in its second attempt", func(v api.JobView) bool { return v.Attempt == 2 })
	if first.Alive() || !proc.Empty(attempt.Name(job.ID, 1), "") {
		t.Error("the first attempt still lives")
	}
	if v.RestartsUsed != 2 {
		t.Errorf("%d restarts are charged", v.RestartsUsed)
	}
}

func TestAProgramThatIsNotThere(t *testing.T) {
	t.Parallel()
	opts := testOptions(t.TempDir())
	opts.Agent = []string{"/no/such/agent"}
	p := start(t, opts)
	job := submit(t, p, "true")
	v := await(t, p, job.ID, "back in line", func(v api.JobView) bool { return v.Result != nil && v.Phase == nexus.Pending })
	if v.Result.Cause != nexus.CauseNode || !strings.Contains(v.Result.Message, "no such file") {
		t.Errorf("it ended as %+v", v.Result)
	}
}
