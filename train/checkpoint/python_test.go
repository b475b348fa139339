package checkpoint

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// python runs a script of the Python package on the directory of a test.
func python(t *testing.T, dir, script string) string {
	t.Helper()
	sdk, err := filepath.Abs("../../sdk/python/src")
	if err != nil {
		t.Fatal(err)
	}
	interpreter := strings.Fields(os.Getenv("NEXUS_TEST_PYTHON"))
	if len(interpreter) == 0 {
		interpreter = []string{"/usr/bin/python3"}
	}
	run := func(script string) ([]byte, error) {
		cmd := exec.Command(interpreter[0], append(interpreter[1:], "-c", script)...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "PYTHONPATH="+sdk, "PYTHONDONTWRITEBYTECODE=1")
		return cmd.CombinedOutput()
	}
	if out, err := run("import torch"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("PyTorch is missing, install python3-torch: %v\n%s", err, out)
		}
		t.Skip("no PyTorch here: install python3-torch, or name an interpreter that has it in NEXUS_TEST_PYTHON")
	}
	out, err := run("from ainexus.checkpoint import *\nfrom ainexus import *\n" + script)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// What PyTorch saved through the Python package is a checkpoint here, of which every byte is compared; its writer
// fences ours off, and ours fences it.
func TestPythonAndGoShareADirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	python(t, dir, `
import torch
trainer = DistributedTrainer(env=Env(job="job1", attempt=1, attempt_name="job1/1"), checkpoints=".")
for _ in range(7): trainer.step()
trainer.save_checkpoint(torch.nn.Linear(100, 100), None, 0)
`)
	found, skipped, err := At(dir, Options{}).Latest()
	m := found.Manifest
	if err != nil || len(skipped) > 0 || m.Step != 7 || m.WorldSize != 1 || m.Epoch != (Epoch{Attempt: 1}) || m.Files[0].Size < 40_000 {
		t.Fatalf("%+v %v %v", found, skipped, err)
	}

	later := open(t, dir, Writer{"job1", Epoch{2, 0}}, 0)
	second := save(t, later, 9)
	said := python(t, dir, `
old = Directory(".", Writer("job1", 1, 5))
try:
    old.claim()
except FencedError as error:
    print(error)
found, skipped = Directory(".").latest()
print(found.step, found.attempt, found.world_size, len(skipped), verify(found))
`)
	want := "checkpoints in . belong to epoch 2.0 of job 'job1' now, this is epoch 1.5 of job 'job1'\n9 2 4 0 None\n"
	if said != want {
		t.Errorf("Python says %q", said)
	}

	python(t, dir, `
newer = Directory(".", Writer("job1", 2, 1))
newer.claim()
newer.save(8, 2, lambda file: file.write(b"x" * 1000))
`)
	if _, err := later.Save(stateOf(10, 10)); !errors.As(err, new(*FencedError)) {
		t.Errorf("a writer whose place was taken saved: %v", err)
	}
	if found, _, err := At(dir, Options{}).Latest(); err != nil || found.Manifest.Step != 8 {
		t.Errorf("the newest is of the newest claim: %+v %v", found, err)
	}
	if err := flip(second.Path); err != nil {
		t.Fatal(err)
	}
	said = python(t, dir, `
import os
os.remove(Directory(".").latest()[0].path)
found, skipped = Directory(".").latest()
print(found.step, [one.reason for one in skipped])
`)
	if !strings.HasPrefix(said, "7 [") || !strings.Contains(said, "is damaged") {
		t.Errorf("Python says %q", said)
	}
}
