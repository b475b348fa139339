package launch

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ainexus.io/nexus"
)

// withTorch is the command line of a Python that has PyTorch.
func withTorch(t *testing.T) []string {
	t.Helper()
	python := strings.Fields(os.Getenv("NEXUS_TEST_PYTHON"))
	if len(python) == 0 {
		python = []string{"/usr/bin/python3"}
	}
	if out, err := exec.Command(python[0], append(python[1:], "-c", "import torch.distributed")...).CombinedOutput(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("PyTorch is missing, install python3-torch: %v\n%s", err, out)
		}
		t.Skip("no PyTorch here: install python3-torch, or name an interpreter that has it in NEXUS_TEST_PYTHON")
	}
	return python
}

// PyTorch's own init_process_group finds our store, and finds it empty after a restart.
func TestPyTorchMeetsInEveryRound(t *testing.T) {
	t.Parallel()
	python := withTorch(t)
	script, err := filepath.Abs("testdata/ring.py")
	if err != nil {
		t.Fatal(err)
	}
	o := order(t, 2, "")
	o.RestartsLeft = 1
	o.Spec.Run = nexus.Command{Argv: append(python, script)}
	result, dir := runAgent(t, o)
	if !result.OK || result.Charged != 1 {
		t.Fatalf("%+v", result)
	}
	for rank, want := range []string{"rank 0 of 2: 3\n", "rank 1 of 2: 3\n"} {
		if got := content(t, dir.WorkerLog(1, rank)); !strings.HasSuffix(got, want) {
			t.Errorf("rank %d: %q", rank, got)
		}
	}
	if rounds, err := dir.Rounds(); err != nil || rounds.Rounds[0].Ending != "rank 1 exited with code 3" {
		t.Errorf("%+v %v", rounds, err)
	}
}

// With PyTorch's own error files and words: the rank that failed is to blame, though it dies after those that it took along.
func TestPyTorchsFirstErrorIsTheRootCause(t *testing.T) {
	t.Parallel()
	python := withTorch(t)
	script, err := filepath.Abs("testdata/blame.py")
	if err != nil {
		t.Fatal(err)
	}
	o := order(t, 2, "")
	o.Spec.Run = nexus.Command{Argv: append(python, script)}
	result, dir := runAgent(t, o)
	if result.Rank != 1 || result.Exit != 1 || result.Message != "rank 1 failed: ValueError: bad label" || result.Fault == nil ||
		result.Fault.Evidence != "by its error file" || result.Fault.Later != 1 || !strings.Contains(strings.Join(result.Tail, "\n"), "ValueError: bad label") {
		t.Errorf("%+v %+v", result, result.Fault)
	}
	if log := content(t, dir.WorkerLog(0, 0)); !saysPeerGone(log) {
		t.Errorf("rank 0 says %s", log)
	}
}
