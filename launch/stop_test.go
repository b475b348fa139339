package launch

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"ainexus.io/nexus"
	"ainexus.io/proc"
)

// trainOrder is a job whose workers are the trainer with some words.
func trainOrder(t *testing.T, workers int, words string) nexus.Order {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	o := order(t, workers, fmt.Sprintf("%s trainer %s", self, words))
	o.Spec.Checkpoint = &nexus.CheckpointSpec{Path: "ckpt", Grace: nexus.Duration(10 * time.Second)}
	return o
}

func (r *running) training(workers int) {
	r.t.Helper()
	eventually(r.t, 20*time.Second, "all make steps", func() bool {
		for rank := range workers {
			if p, err := r.dir.Progress(rank); err != nil || p.Step < 2 {
				return false
			}
		}
		return true
	})
}

func TestAStopBecomesACheckpoint(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		wrap  func(line string) nexus.Command
		words string
	}{
		{"a program", func(line string) nexus.Command { return nexus.Command{Shell: line} }, ""},
		{"a list", func(line string) nexus.Command { return nexus.Command{Argv: strings.Fields(line)} }, ""},
		{"below a shell", func(line string) nexus.Command { return nexus.Command{Shell: line + "; echo then"} }, ""},
		{"exec in a shell", func(line string) nexus.Command { return nexus.Command{Shell: "cd .; exec " + line} }, ""},
		{"with a loader below a shell", func(line string) nexus.Command { return nexus.Command{Shell: line + "; echo then"} }, "loader"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			o := trainOrder(t, 2, test.words)
			o.Spec.Run = test.wrap(o.Spec.Run.Shell)
			r := startAgent(t, o, AgentOptions{})
			r.training(2)
			if err := r.dir.WriteStop(nexus.StopOrder{Kind: nexus.StopPreempt}); err != nil {
				t.Fatal(err)
			}
			result := r.result()
			if result.OK || result.Cause != nexus.CausePreempt || result.Ack == nil || result.Ack.Step < 2 || result.LostSeconds != 0 {
				t.Errorf("%+v", result)
			}
			if !strings.HasPrefix(result.Message, "preempted; the checkpoint of step ") {
				t.Errorf("message %q", result.Message)
			}
			if log := content(t, r.dir.WorkerLog(0, 1)); !strings.HasPrefix(log, "training\nsaved\n") {
				t.Errorf("log %q", log)
			}
		})
	}
}

func TestAStopWithoutACheckpointSaysWhatIsLost(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, words string
		grace       time.Duration
		message     string
	}{
		{"a spoilt checkpoint", "spoil", 0, "is not what was written: its checksum differs; no checkpoint was acknowledged, "},
		{"a deaf program", "deaf", 300 * time.Millisecond, "cancelled; no checkpoint was acknowledged, "},
		{"no grace at all", "deaf", 1, "cancelled; no checkpoint was acknowledged, "},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := startAgent(t, trainOrder(t, 2, test.words), AgentOptions{})
			r.training(2)
			if err := r.dir.WriteStop(nexus.StopOrder{Kind: nexus.StopCancel, Grace: nexus.Duration(test.grace)}); err != nil {
				t.Fatal(err)
			}
			result := r.result()
			if result.OK || result.Cause != nexus.CauseCancel || result.Ack != nil || result.Exit != 130 || result.LostSeconds < 0 || !strings.Contains(result.Message, test.message) {
				t.Errorf("%+v", result)
			}
		})
	}
}

func TestAStopDuringSetupOrBackoff(t *testing.T) {
	t.Parallel()
	setup := order(t, 1, "exit 0")
	setup.Spec.Setup = nexus.Command{Shell: "sleep 1000"}
	backoff := order(t, 1, "exit 1")
	backoff.RestartsLeft = 5
	for state, o := range map[nexus.AgentState]nexus.Order{nexus.AgentSetup: setup, nexus.AgentBackoff: backoff} {
		r := startAgent(t, o, AgentOptions{Backoff: waitLong()})
		eventually(t, 10*time.Second, string(state), func() bool { s, _ := r.dir.Status(); return s.State == state })
		if err := r.dir.WriteStop(nexus.StopOrder{Kind: nexus.StopCancel}); err != nil {
			t.Fatal(err)
		}
		if result := r.result(); result.Cause != nexus.CauseCancel || result.Charged != 0 {
			t.Errorf("%s: %+v", state, result)
		}
	}
}

func TestAnAgentThatIsEndedSavesAndBlamesTheNode(t *testing.T) {
	t.Parallel()
	r := startAgent(t, trainOrder(t, 1, ""), AgentOptions{})
	r.training(1)
	r.end()
	if result := r.result(); result.Cause != nexus.CauseNode || result.Ack == nil {
		t.Errorf("%+v", result)
	}
}

// shifted are clocks that a test can move.
type shifted struct{ wall, mono atomic.Int64 }

func (s *shifted) clock() proc.Clock {
	real := proc.SystemClock()
	return proc.Clock{
		Wall: func() time.Time { return real.Wall().Add(time.Duration(s.wall.Load())) },
		Mono: func() time.Duration { return real.Mono() + time.Duration(s.mono.Load()) },
	}
}

func TestOnlyTheMonotonicClockEndsAJob(t *testing.T) {
	t.Parallel()
	o := trainOrder(t, 1, "")
	o.Spec.MaxDuration = nexus.Duration(time.Hour)
	var shift shifted
	r := startAgent(t, o, AgentOptions{Clock: shift.clock()})
	r.training(1)
	shift.wall.Store(int64(24 * time.Hour))
	began, _ := r.dir.Progress(0)
	time.AfterFunc(1200*time.Millisecond, func() { shift.wall.Store(int64(-24 * time.Hour)) })
	eventually(t, 10*time.Second, "it trains on", func() bool { p, _ := r.dir.Progress(0); return p.Time > began.Time+2.5 })
	if s, _ := r.dir.Status(); s.State != nexus.AgentRunning {
		t.Fatalf("a moved wall clock did something: %+v", s)
	}
	shift.mono.Store(int64(time.Hour))
	result := r.result()
	if result.Cause != nexus.CauseTimeout || result.Ack == nil || !strings.HasPrefix(result.Message, "stopped after its max_duration of 1h; ") {
		t.Errorf("%+v", result)
	}
}

func TestAHangEndsTheRoundAndNamesWhoIsBehind(t *testing.T) {
	t.Parallel()
	o := trainOrder(t, 3, "stuck=1 wait")
	o.Spec.NoProgress = nexus.Duration(700 * time.Millisecond)
	o.RestartsLeft = 1
	result, dir := runAgent(t, o)
	if result.Cause != nexus.CauseHang || result.Rank != 1 || result.Charged != 1 || !strings.Contains(result.Message, "no rank has made progress for 700ms: rank 1 is behind at step 2, the others came to step 6") {
		t.Errorf("%+v", result)
	}
	if rounds, err := dir.Rounds(); err != nil || rounds.Rounds[0].Cause != nexus.CauseHang {
		t.Errorf("%+v %v", rounds, err)
	}
}

func TestWhoNeverReportsGetsNoVerdict(t *testing.T) {
	t.Parallel()
	o := order(t, 2, "sleep 1.2")
	o.Spec.NoProgress = nexus.Duration(50 * time.Millisecond)
	if result, _ := runAgent(t, o); !result.OK {
		t.Errorf("%+v", result)
	}
}

func TestABareLaunchListensToSignals(t *testing.T) {
	t.Parallel()
	signals := make(chan os.Signal, 4)
	done := make(chan nexus.Result)
	dir := t.TempDir()
	go func() {
		result, err := Run(t.Context(), Options{
			Command: nexus.Command{Argv: []string{"sh", "-c", `trap 'exit 0' TERM; echo up >up.$RANK; while :; do sleep 0.02; done`}},
			Workers: 2, Dir: dir, Env: os.Environ(), Keeper: keeperArgv(), Signals: signals,
		})
		if err != nil {
			t.Error(err)
		}
		done <- result
	}()
	eventually(t, 10*time.Second, "both are up", func() bool {
		ups, _ := filepath.Glob(filepath.Join(dir, "up.*"))
		return len(ups) == 2
	})
	signals <- syscall.SIGTERM
	if result := <-done; result.Cause != nexus.CauseCancel || result.Exit != 128+15 || result.Message != "stopped by SIGTERM" {
		t.Errorf("%+v", result)
	}
}

func TestABareLaunchPassesUserSignalsOn(t *testing.T) {
	t.Parallel()
	signals := make(chan os.Signal, 4)
	dir := t.TempDir()
	done := make(chan nexus.Result)
	go func() {
		result, err := Run(t.Context(), Options{
			Command: nexus.Command{Argv: []string{"sh", "-c", `trap 'exit 0' USR1; echo up >up.$RANK; while :; do sleep 0.02; done`}},
			Workers: 2, Dir: dir, Env: os.Environ(), Keeper: keeperArgv(), Signals: signals,
		})
		if err != nil {
			t.Error(err)
		}
		done <- result
	}()
	eventually(t, 10*time.Second, "both are up", func() bool {
		ups, _ := filepath.Glob(filepath.Join(dir, "up.*"))
		return len(ups) == 2
	})
	signals <- syscall.SIGUSR1
	if result := <-done; !result.OK {
		t.Errorf("%+v", result)
	}
}
