package journal

import (
	"bufio"
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ainexus.io/nexus"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func cycle(n uint64, at time.Time) nexus.Cycle {
	return nexus.Cycle{
		Number: n, Delta: nexus.Delta{Version: n, Jobs: []nexus.Job{job()}},
		Plan: nexus.Plan{Version: n, At: at, Hold: []nexus.Hold{{Job: "a", Reason: nexus.Reason{Code: nexus.WaitCapacity}}}},
	}
}

func job() nexus.Job {
	return nexus.Job{ID: "a", Spec: nexus.Spec{Type: nexus.Training, Nodes: nexus.Range{Min: 1, Max: 1}}}
}

func whole() nexus.Snapshot { return nexus.Snapshot{At: noon, Jobs: []nexus.Job{job()}} }

func open(t *testing.T, o Options) (*Journal, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	j, err := Open(o, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	})
	return j, &log
}

func files(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func lines(t *testing.T, name string) []Line {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var list []Line
	for s := bufio.NewScanner(f); s.Scan(); {
		var l Line
		if err := json.Unmarshal(s.Bytes(), &l); err != nil {
			t.Fatalf("%s: %v", s.Text(), err)
		}
		list = append(list, l)
	}
	return list
}

// Every file can be read by itself: it begins with a snapshot, then a line per cycle.
func TestEachFileBeginsWithASnapshot(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "journal")
	j, _ := open(t, Options{Dir: dir})
	for i := range 25 {
		j.Observe(cycle(uint64(i+1), noon.Add(time.Duration(i)*time.Minute)), whole)
	}
	names := files(t, dir)
	if len(names) != 3 {
		t.Fatalf("25 minutes make files of 10 minutes: %v", names)
	}
	next := uint64(1)
	for _, name := range names {
		for i, l := range lines(t, name) {
			if (i == 0) != (l.Snapshot != nil) || l.Cycle != next || l.Delta == nil || len(l.Plan.Hold) != 1 {
				t.Errorf("%s line %d: %+v", name, i, l)
			}
			next++
		}
	}
}

// It stays within its bounds, also over restarts, and the newest stays.
func TestItIsBounded(t *testing.T) {
	dir := t.TempDir()
	for range 3 {
		j, _ := open(t, Options{Dir: dir, Files: 4, Size: 3000})
		for i := range 100 {
			j.Observe(cycle(uint64(i), noon), whole)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	names := files(t, dir)
	if len(names) != 4 {
		t.Fatalf("%d files, 4 are kept", len(names))
	}
	for _, name := range names {
		if s, err := os.Stat(name); err != nil || s.Size() > 4500 {
			t.Errorf("%s: %v, %v", name, s, err)
		}
	}
	if last := lines(t, names[3]); last[len(last)-1].Cycle != 99 {
		t.Errorf("the last line is of cycle %d", last[len(last)-1].Cycle)
	}
}

// A disk that fails is told once and stops nobody; when it is well again, writing goes on.
func TestABadDiskStopsNobody(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "journal")
	j, log := open(t, Options{Dir: dir})
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir, nil, 0o600); err != nil { // in its place, a file: nothing can be written below
		t.Fatal(err)
	}
	for i := range 50 {
		j.Observe(cycle(uint64(i), noon), whole)
	}
	if n := strings.Count(log.String(), "cannot be written"); n != 1 {
		t.Errorf("told %d times:\n%s", n, log)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	j.Observe(cycle(51, noon), whole)
	if names := files(t, dir); len(names) != 1 || lines(t, names[0])[0].Snapshot == nil {
		t.Errorf("after the disk came back: %v", names)
	}
	if !strings.Contains(log.String(), "written again") {
		t.Errorf("nobody was told that it is well again:\n%s", log)
	}
}

func TestNothingIsWrittenAfterClose(t *testing.T) {
	dir := t.TempDir()
	j, _ := open(t, Options{Dir: dir})
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j.Observe(cycle(1, noon), whole)
	if names := files(t, dir); len(names) > 0 {
		t.Errorf("written: %v", names)
	}
}
