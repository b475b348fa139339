package attempt

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ainexus.io/nexus"
)

func order() nexus.Order {
	return nexus.Order{
		Job: "j1", Attempt: 2, Workdir: "/w", Env: map[string]string{"A": "b"}, RestartsLeft: 3,
		Spec: nexus.Spec{Type: nexus.Training, Nodes: nexus.Range{Min: 1, Max: 1}, Run: nexus.Command{Argv: []string{"x"}}},
		Seat: nexus.Seat{Node: "n", Workers: 1},
	}
}

func prepared(t *testing.T) Dir {
	t.Helper()
	dir := At(t.TempDir(), "j1", 2)
	if err := dir.Create(order()); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestAnOrderIsWrittenOnce(t *testing.T) {
	dir := prepared(t)
	other := order()
	other.RestartsLeft = 99
	if err := dir.Create(other); err != nil {
		t.Fatal(err)
	}
	if got, err := dir.Order(); err != nil || got.RestartsLeft != 3 || got.Env["A"] != "b" {
		t.Errorf("%+v %v", got, err)
	}
}

func TestEveryFileComesBackAsItWasWritten(t *testing.T) {
	dir := prepared(t)
	now := time.Unix(1e9, 5).UTC()
	wrote := errors.Join(
		dir.WriteStop(nexus.StopOrder{Kind: nexus.StopCancel, Grace: 5}),
		dir.WriteStop(nexus.StopOrder{Kind: nexus.StopPreempt, Grace: 7}),
		dir.WriteAgent(nexus.Agent{Boot: "b", PID: 1, Start: 2, Keeper: 3, Cgroup: "/c"}),
		dir.WriteStatus(nexus.Status{State: nexus.AgentRunning, Renewed: now}),
		dir.WriteRounds(nexus.Rounds{RestartsLeft: 1, Rounds: []nexus.Round{{Number: 0, Began: now, Cause: nexus.CauseHang}}}),
		dir.WriteResult(nexus.Result{Attempt: 2, Rank: -1, Message: "m", Ended: now}),
	)
	if wrote != nil {
		t.Fatal(wrote)
	}
	if s, err := dir.Stop(); err != nil || s.Kind != nexus.StopPreempt || s.Grace != 7 {
		t.Errorf("the later order does not count: %+v %v", s, err)
	}
	if a, err := dir.Agent(); err != nil || a.Keeper != 3 || a.Cgroup != "/c" {
		t.Errorf("%+v %v", a, err)
	}
	if s, err := dir.Status(); err != nil || !s.Renewed.Equal(now) {
		t.Errorf("%+v %v", s, err)
	}
	if r, err := dir.Rounds(); err != nil || r.Rounds[0].Cause != nexus.CauseHang {
		t.Errorf("%+v %v", r, err)
	}
	if r, err := dir.Result(); err != nil || r.Message != "m" {
		t.Errorf("%+v %v", r, err)
	}
	left, _ := filepath.Glob(filepath.Join(string(dir), ".*"))
	if len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}

func TestWhatIsMissingAndWhatIsBroken(t *testing.T) {
	dir := prepared(t)
	for name, read := range map[string]func() error{
		"agent":    func() error { _, err := dir.Agent(); return err },
		"ack":      func() error { _, err := dir.Ack(); return err },
		"progress": func() error { _, err := dir.Progress(3); return err },
		"result":   func() error { _, err := dir.Result(); return err },
	} {
		if err := read(); !Missing(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, path := range []string{dir.AckFile(), dir.ProgressFile(3)} {
		if err := os.WriteFile(path, []byte(`{"step":`), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := dir.Ack(); err == nil || Missing(err) || !strings.Contains(err.Error(), "ack.json") {
		t.Errorf("a torn file: %v", err)
	}
	if _, err := dir.Progress(3); err == nil || Missing(err) {
		t.Errorf("a torn file: %v", err)
	}
}

func TestALockIsOneAgents(t *testing.T) {
	dir := prepared(t)
	if locked, err := dir.Locked(); locked || err != nil {
		t.Fatalf("%v %v", locked, err)
	}
	held, err := dir.Lock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dir.Lock(); !errors.Is(err, ErrLocked) {
		t.Errorf("a second agent: %v", err)
	}
	if locked, err := dir.Locked(); !locked || err != nil {
		t.Errorf("%v %v", locked, err)
	}
	if err := errors.Join(dir.WriteAgent(nexus.Agent{PID: 1}), held.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := dir.Lock(); !errors.Is(err, ErrClaimed) {
		t.Errorf("an attempt that was begun: %v", err)
	}
}

func TestWhereThingsAre(t *testing.T) {
	dir := At("/state/attempts", "j1", 2)
	for got, want := range map[string]string{
		string(dir):         "/state/attempts/j1/2",
		dir.ProgressFile(4): "/state/attempts/j1/2/progress/4.json",
		dir.WorkerLog(1, 4): "/state/attempts/j1/2/logs/1/4.log",
		dir.ErrorFile(1, 4): "/state/attempts/j1/2/logs/1/4.error.json",
		dir.SetupLog():      "/state/attempts/j1/2/logs/0/setup.log",
		Name("j1", 2):       "j1/2",
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
