package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// What the API server wrote down is counted for who did it, and what it refused is not.
func TestTheLogIsReadAsItGrows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	a := newAudit(path, "nexus")
	defer a.stop()
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	write := func(user, verb, resource, sub, name string, code int, after time.Duration) {
		line, err := json.Marshal(map[string]any{
			"verb": verb, "user": map[string]string{"username": user}, "responseStatus": map[string]int{"code": code},
			"objectRef":                map[string]string{"resource": resource, "subresource": sub, "namespace": "bench", "name": name},
			"requestReceivedTimestamp": begin.Add(after), "stageTimestamp": begin.Add(after + time.Millisecond),
		})
		if err != nil {
			t.Fatal(err)
		}
		half := len(line) / 2
		for _, part := range []string{string(line[:half]), string(line[half:]) + "\n"} { // it may be read in the middle of a line
			if _, err := file.WriteString(part); err != nil {
				t.Fatal(err)
			}
		}
	}
	write("admin", "create", "nexusjobs", "", "runs-0", 201, 0)
	write("nexus", "update", "nexusjobs", "status", "runs-0", 409, time.Second)
	write("nexus", "update", "nexusjobs", "status", "runs-0", 200, 2*time.Second)
	write("nexus", "create", "events", "", "", 201, 2*time.Second)
	write("scheduler", "create", "pods", "binding", "runs-0-1-0-abcde", 201, 3*time.Second)
	if err := a.wait(t.Context(), t.Logf, "the pod", func() bool { return len(a.bound) == 1 }); err != nil {
		t.Fatal(err)
	}
	if everybody, own := a.all(); everybody != 3 || own != 1 {
		t.Errorf("%d writes, %d of ours", everybody, own)
	}
	if told := a.told["runs-0"].Sub(a.created["runs-0"]); told != 2*time.Second+time.Millisecond {
		t.Errorf("it was told after %v", told)
	}
	if a.podOf["runs-0"].IsZero() {
		t.Errorf("pods are of %v", a.podOf)
	}
}
