package checkpoint

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// stateOf is a recognisable state: every value tells its step.
func stateOf(step int64, floats int) State {
	data := slices.Repeat([]float32{float32(step)}, floats)
	return State{Step: step, Epoch: 2, Offset: 640, WorldSize: 4, Seed: 9, RNG: [][]byte{{1, 2}, {3}},
		Params: []Tensor{{"w", data}, {"b", []float32{1, -2, 3.5}}}, Optimizer: []Tensor{{"momentum/w", data}},
		Extra: map[string]string{"note": "ok"}}
}

func open(t testing.TB, path string, w Writer, keep int) *Dir {
	t.Helper()
	d := At(path, Options{Writer: w, Keep: keep})
	if err := d.Claim(); err != nil {
		t.Fatal(err)
	}
	return d
}

func save(t testing.TB, d *Dir, step int64) Found {
	t.Helper()
	found, err := d.Save(stateOf(step, 1000))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// latestStep returns the step of the newest valid checkpoint, having loaded it; 0 without one.
func latestStep(t testing.TB, path string) (int64, []Skipped) {
	t.Helper()
	found, skipped, err := At(path, Options{}).Latest()
	if errors.Is(err, ErrNone) {
		return 0, skipped
	}
	if err != nil {
		t.Fatal(err)
	}
	state, err := Load(found)
	if err != nil {
		t.Fatal(err)
	}
	for _, tensor := range []Tensor{state.Params[0], state.Optimizer[0]} {
		for _, v := range tensor.Data {
			if v != float32(state.Step) {
				t.Fatalf("the checkpoint of step %d holds a value of step %v", state.Step, v)
			}
		}
	}
	if found.Manifest.Step != state.Step {
		t.Fatalf("the manifest says step %d, the file %d", found.Manifest.Step, state.Step)
	}
	return state.Step, skipped
}

// What is saved is found again, to the bit.
func TestSaveAndLoad(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "ckpt")
	d := open(t, dir, Writer{"job", Epoch{2, 1}}, 0)
	want := stateOf(120, 70_000)
	want.Params[1].Data = []float32{float32(math.NaN()), float32(math.Inf(1)), -0}
	if _, err := d.Save(want); err != nil {
		t.Fatal(err)
	}
	found, skipped, err := At(dir, Options{}).Latest()
	if err != nil || len(skipped) > 0 {
		t.Fatal(err, skipped)
	}
	m := found.Manifest
	if m.Epoch != (Epoch{2, 1}) || m.Step != 120 || m.WorldSize != 4 || len(m.Files) != 1 {
		t.Errorf("the manifest is %+v", m)
	}
	got, err := Load(found)
	if err != nil {
		t.Fatal(err)
	}
	if !math.IsNaN(float64(got.Params[1].Data[0])) {
		t.Error("NaN became something else")
	}
	got.Params[1].Data[0], want.Params[1].Data[0] = 0, 0
	if !reflect.DeepEqual(got, want) {
		t.Error("the state is not what it was")
	}
}

// Damage of any kind to the newest checkpoint is told, and the one before it is used.
func TestDamagedOnesAreSkipped(t *testing.T) {
	harm := map[string]func(path string) error{
		"truncated":   func(p string) error { return os.Truncate(p, 100) },
		"empty":       func(p string) error { return os.Truncate(p, 0) },
		"gone":        os.Remove,
		"bit flipped": flip,
		"manifest is no JSON": func(p string) error {
			return os.WriteFile(p+manifestSuffix, []byte(`{"epoch":`), 0o644)
		},
		"manifest lists nothing": func(p string) error { return os.WriteFile(p+manifestSuffix, []byte(`{"step":9,"claim":1}`), 0o644) },
		"manifest leaves the directory": func(p string) error {
			return os.WriteFile(p+manifestSuffix, []byte(`{"step":9,"claim":1,"files":[{"name":"../../etc/passwd"}]}`), 0o644)
		},
	}
	for name, hurt := range harm {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			d := open(t, dir, Writer{}, 0)
			save(t, d, 1)
			if err := hurt(save(t, d, 2).Path); err != nil {
				t.Fatal(err)
			}
			step, skipped := latestStep(t, dir)
			if step != 1 || len(skipped) != 1 || !strings.Contains(skipped[0].Path, "2-1") {
				t.Errorf("found step %d, skipped %v", step, skipped)
			}
		})
	}
}

func flip(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	data[len(data)/2] ^= 4
	return os.WriteFile(path, data, 0o644)
}

// Without its manifest a checkpoint does not exist.
func TestDataAloneIsNoCheckpoint(t *testing.T) {
	dir := t.TempDir()
	found := save(t, open(t, dir, Writer{}, 0), 5)
	if err := os.Remove(found.Path + manifestSuffix); err != nil {
		t.Fatal(err)
	}
	if step, skipped := latestStep(t, dir); step != 0 || len(skipped) > 0 {
		t.Errorf("found step %d, skipped %v", step, skipped)
	}
	if _, _, err := At(filepath.Join(dir, "nowhere"), Options{}).Latest(); !errors.Is(err, ErrNone) {
		t.Errorf("a missing directory says %v", err)
	}
}

// Retention keeps the newest and sweeps what killed saves left; files of others stay.
func TestRetention(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, Writer{}, 2)
	for name, data := range map[string]string{
		".step-000000000007-1.123.tmp": "killed while writing",
		"step-000000000008-1":          "killed before the manifest",
		"notes.txt":                    "mine",
		".hidden":                      "mine",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for step := range int64(5) {
		save(t, d, step+1)
	}
	var names []string
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	want := []string{".hidden", ".lock", "EPOCH", "notes.txt", "step-000000000004-1", "step-000000000004-1.nexus.json",
		"step-000000000005-1", "step-000000000005-1.nexus.json"}
	if !slices.Equal(names, want) {
		t.Errorf("left are %v", names)
	}
}

// Saving a step twice never writes over a valid checkpoint.
func TestSameStepTwice(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, Writer{}, 0)
	first, second := save(t, d, 3), save(t, d, 3)
	if first.Path == second.Path {
		t.Fatalf("both are %s", first.Path)
	}
	if found, _, err := d.Latest(); err != nil || found.Path != second.Path {
		t.Errorf("the latest is %v (%v), not %s", found.Path, err, second.Path)
	}
}

// A worker that was thought dead and comes back cannot save; neither can its epoch claim again.
func TestOlderEpochIsFencedOff(t *testing.T) {
	dir := t.TempDir()
	old := open(t, dir, Writer{"job", Epoch{1, 3}}, 0)
	save(t, old, 10)
	now := open(t, dir, Writer{"job", Epoch{2, 0}}, 0)
	var fenced *FencedError
	if _, err := old.Save(stateOf(11, 10)); !errors.As(err, &fenced) {
		t.Errorf("the old epoch saved: %v", err)
	}
	if err := old.Claim(); !errors.As(err, &fenced) || !strings.Contains(err.Error(), "epoch 2.0 of job") {
		t.Errorf("the old epoch claimed: %v", err)
	}
	save(t, now, 7)
	if step, _ := latestStep(t, dir); step != 7 {
		t.Errorf("the latest is step %d: the newer claim's counts, although its step is lower", step)
	}
	unclaimed := At(dir, Options{})
	if _, err := unclaimed.Save(stateOf(1, 1)); err == nil {
		t.Error("saved without a claim")
	}
}

// A new job may take over a directory that an older job with a higher attempt has left.
func TestAnotherJobTakesOver(t *testing.T) {
	dir := t.TempDir()
	old := open(t, dir, Writer{"first", Epoch{5, 2}}, 0)
	save(t, old, 500)
	now := open(t, dir, Writer{"second", Epoch{1, 0}}, 0)
	save(t, now, 3)
	if _, err := old.Save(stateOf(501, 10)); err == nil {
		t.Error("the first job still saves")
	}
	if step, _ := latestStep(t, dir); step != 3 {
		t.Errorf("the latest is step %d", step)
	}
	anonymous := open(t, dir, Writer{}, 0)
	save(t, anonymous, 1)
	if step, _ := latestStep(t, dir); step != 1 {
		t.Errorf("the latest is step %d", step)
	}
}

// However claims and saves of several writers interleave, committed checkpoints never do: once an epoch has claimed, no
// older one commits.
func TestEpochsNeverInterleave(t *testing.T) {
	root := t.TempDir()
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		dir := filepath.Join(root, fmt.Sprint(run))
		writers := make([]*Dir, 4)
		for i := range writers {
			writers[i] = At(dir, Options{Writer: Writer{"job", Epoch{1 + i/2, i % 2}}, Keep: -1})
		}
		highest, step := -1, int64(0)
		for range rapid.IntRange(1, 12).Draw(t, "moves") {
			i := rapid.IntRange(0, 3).Draw(t, "writer")
			if rapid.Bool().Draw(t, "claims") {
				if err := writers[i].Claim(); (err == nil) != (i >= highest) {
					t.Fatalf("writer %d claims after %d: %v", i, highest, err)
				}
				highest = max(highest, i)
				continue
			}
			step++
			if _, err := writers[i].Save(State{Step: step, WorldSize: 1}); err == nil && i != highest {
				t.Fatalf("writer %d saved after %d had claimed", i, highest)
			}
		}
	})
}

// Whatever the bytes, decoding ends with a state or an error.
func FuzzDecode(f *testing.F) {
	var buf bytes.Buffer
	if err := stateOf(3, 5).Encode(&buf); err != nil {
		f.Fatal(err)
	}
	f.Add(buf.Bytes())
	f.Add(buf.Bytes()[:buf.Len()-3])
	f.Add(append(bytes.Clone(buf.Bytes()), 0))
	f.Add([]byte(fileMagic + "\xff\xff\xff\x03{}"))
	f.Add([]byte(fileMagic + "\x2a\x00\x00\x00" + `{"params":[{"name":"w","count":1e15}]}    `))
	f.Fuzz(func(t *testing.T, data []byte) {
		state, err := Decode(bytes.NewReader(data))
		if err != nil {
			return
		}
		var again bytes.Buffer
		if err := state.Encode(&again); err != nil {
			t.Fatal(err)
		}
	})
}
