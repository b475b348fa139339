package saved_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ainexus.io/attempt/saved"
	"ainexus.io/nexus"
)

const hello = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" // sha256 of "hello"

// put leaves a checkpoint of a step that holds "hello".
func put(t *testing.T, path string, step int64, attempt int) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	manifest, err := json.Marshal(nexus.Manifest{Step: step, Epoch: nexus.Epoch{Attempt: attempt}, WorldSize: 4,
		Files: []nexus.ManifestFile{{Name: filepath.Base(path), Size: 5, SHA256: hello}}})
	if err == nil {
		err = os.WriteFile(path, []byte("hello"), 0o600)
	}
	if err == nil {
		err = os.WriteFile(path+nexus.ManifestSuffix, manifest, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// told writes a list as its names, steps and what is wrong.
func told(list []nexus.Saved) string {
	var lines []string
	for _, s := range list {
		lines = append(lines, fmt.Sprintf("%s %d valid:%v compared:%v %s", filepath.Base(s.Path), s.Step, s.Valid, s.Compared, s.Wrong))
	}
	return strings.Join(lines, "\n")
}

func TestTheNewestComesFirstAndDamageIsTold(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "first-90"), 90, 1)
	put(t, filepath.Join(dir, "second-100"), 100, 2)
	put(t, filepath.Join(dir, "second-110"), 110, 2)
	put(t, filepath.Join(dir, "second-95"), 95, 2)
	os.WriteFile(filepath.Join(dir, "second-100"), []byte("hallo"), 0o600)
	os.WriteFile(filepath.Join(dir, "second-95"), []byte("hell"), 0o600)
	os.WriteFile(filepath.Join(dir, "torn"+nexus.ManifestSuffix), []byte("{"), 0o600)
	os.WriteFile(filepath.Join(dir, "no-manifest"), []byte("hello"), 0o600)
	list, err := saved.List(t.Context(), dir, "job1", false)
	want := `second-110 110 valid:true compared:true 
second-100 100 valid:false compared:true second-100 is not what was written: its checksum differs
second-95 95 valid:false compared:false second-95 has 4 bytes, not 5
first-90 90 valid:true compared:true 
torn 0 valid:false compared:false its manifest cannot be read: unexpected end of JSON input`
	if err != nil || told(list) != want {
		t.Errorf("%v\n%s", err, told(list))
	}
	if s := list[0]; s.Size != 5 || s.WorldSize != 4 || time.Since(s.At) > time.Hour || s.Epoch.Attempt != 2 {
		t.Errorf("%+v", s)
	}
	quick, err := saved.List(t.Context(), dir, "job1", true)
	if err != nil || !quick[1].Valid || quick[1].Compared || quick[2].Valid {
		t.Errorf("only sizes are compared: %v\n%s", err, told(quick))
	}
}

func TestAJobSeesItsOwn(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "all"), 1, 1)
	put(t, filepath.Join(dir, "job1", "mine"), 2, 1)
	for path, want := range map[string]string{dir: "mine", filepath.Join(dir, "job1"): "mine", filepath.Join(dir, "all"): "all"} {
		list, err := saved.List(t.Context(), path, "job1", true)
		if err != nil || len(list) != 1 || filepath.Base(list[0].Path) != want {
			t.Errorf("%s: %v %s", path, err, told(list))
		}
	}
	if list, err := saved.List(t.Context(), filepath.Join(dir, "nowhere"), "job1", false); err != nil || len(list) != 0 {
		t.Errorf("%v %s", err, told(list))
	}
}

func TestReadingEndsWithItsContext(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "one"), 1, 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := saved.List(ctx, dir, "", false); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestHowOldTheNewestCheckpointIs(t *testing.T) {
	dir := t.TempDir()
	if _, ok := saved.Age(dir, "j"); ok {
		t.Error("a checkpoint where there is none")
	}
	for path, age := range map[string]time.Duration{"old": time.Hour, "j/new": time.Minute, "other/newest": 0} {
		path = filepath.Join(dir, path) + nexus.ManifestSuffix
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Time{}, time.Now().Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	if age, ok := saved.Age(dir, "j"); !ok || age.Round(10*time.Second) != time.Minute {
		t.Errorf("%s %v", age, ok)
	}
	if age, ok := saved.Age(filepath.Join(dir, "old"), "j"); !ok || age < time.Hour {
		t.Errorf("%s %v", age, ok)
	}
}
