package app

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ainexus.io/api"
	"ainexus.io/nexus"
)

func TestAJobThroughTheWholeHouse(t *testing.T) {
	state := t.TempDir()
	d := startDaemon(t, testOptions(state))
	spec := jobSpec("echo rank $RANK of $WORLD_SIZE")
	spec.Workers = 2
	job, err := d.place.Submit(t.Context(), submission(t.TempDir(), spec))
	if err != nil {
		t.Fatal(err)
	}
	awaitPhase(t, d.place, job.ID, nexus.Succeeded)
	code, logs := ask(t, state, "GET", "/api/v1/jobs/story/logs", "")
	if code != http.StatusOK || !strings.Contains(logs, "[0] rank 0 of 2\n") || !strings.Contains(logs, "[1] rank 1 of 2\n") {
		t.Errorf("its output is %d %q", code, logs)
	}
	_, metrics := ask(t, state, "GET", "/metrics", "")
	for _, want := range []string{`nexus_jobs{phase="Succeeded"} 1`, `nexus_queue_wait_seconds_count{queue="default",type="training"} 1`,
		`nexus_attempts_ended_total{cause="ok"} 1`, "nexus_cycles_total "} {
		if !strings.Contains(metrics, want) {
			t.Errorf("/metrics has no %q", want)
		}
	}
}

func TestAnIdleDaemonLeaves(t *testing.T) {
	opts := testOptions(t.TempDir())
	opts.ExitWhenIdle = 300 * time.Millisecond
	d := startDaemon(t, opts)
	job, err := d.place.Submit(t.Context(), submission(t.TempDir(), jobSpec("sleep 0.6")))
	if err != nil {
		t.Fatal(err)
	}
	awaitPhase(t, d.place, job.ID, nexus.Succeeded)
	select {
	case <-d.Done():
	case <-time.After(10 * time.Second):
		t.Fatal("it stays")
	}
	if err := d.Wait(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(opts.State, SocketName)); err == nil {
		t.Error("its socket is still there")
	}
}

func TestATakenPortLeavesTheSocket(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	opts := testOptions(t.TempDir())
	opts.Listen = taken.Addr().String()
	d := startDaemon(t, opts)
	if d.Addr() != "" {
		t.Errorf("it claims to listen on %s", d.Addr())
	}
	if code, _ := ask(t, opts.State, "GET", "/health", ""); code != http.StatusOK {
		t.Errorf("/health answers %d", code)
	}
}

// Nobody asks the planner while nothing happens.
func TestAnIdleDaemonDoesNotPlan(t *testing.T) {
	d := startDaemon(t, testOptions(t.TempDir()))
	job, err := d.place.Submit(t.Context(), submission(t.TempDir(), jobSpec("true")))
	if err != nil {
		t.Fatal(err)
	}
	awaitPhase(t, d.place, job.ID, nexus.Succeeded)
	last, since := d.Cycles(), time.Now()
	for tick := time.NewTicker(20 * time.Millisecond); time.Since(since) < 700*time.Millisecond; <-tick.C {
		if now := d.Cycles(); now != last {
			if now > 20 {
				t.Fatalf("it was asked %d times for one job", now)
			}
			last, since = now, time.Now()
		}
	}
}

// Daemon and agent may disagree about the day by two: nothing follows from it.
func TestTheWallClockMayJump(t *testing.T) {
	opts := testOptions(t.TempDir())
	opts.AgentEnv = append(opts.AgentEnv, "APP_TEST_SHIFT=24h")
	opts.Clock = shifted("-24h")
	opts.Silence = 300 * time.Millisecond
	d := startDaemon(t, opts)
	spec := jobSpec("test $NEXUS_ROUND -ge 1; sleep 0.6")
	spec.Restart.Max, spec.MaxDuration, spec.NoProgress = 1, nexus.Duration(time.Hour), nexus.Duration(time.Minute)
	job, err := d.place.Submit(t.Context(), submission(t.TempDir(), spec))
	if err != nil {
		t.Fatal(err)
	}
	await(t, d.place, job.ID, "running", func(v api.JobView) bool { return v.Phase == nexus.Running })
	if err := d.Stop(); err != nil {
		t.Fatal(err)
	}
	opts.Clock = shifted("48h")
	d = startDaemon(t, opts)
	v := await(t, d.place, job.ID, "over", func(v api.JobView) bool { return v.Phase.Over() })
	if v.Phase != nexus.Succeeded || v.Attempt != 1 || v.RestartsUsed != 1 {
		t.Errorf("it is %s after attempt %d and %d restarts: %+v", v.Phase, v.Attempt, v.RestartsUsed, v.Result)
	}
}
