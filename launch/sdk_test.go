package launch

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ainexus.io/nexus"
)

// sdkOrder is a job of so many ranks that train with the Python package.
func sdkOrder(t *testing.T, workers int, words ...string) nexus.Order {
	t.Helper()
	python := withTorch(t)
	script, err := filepath.Abs("testdata/sdk.py")
	if err != nil {
		t.Fatal(err)
	}
	sdk, err := filepath.Abs("../sdk/python/src")
	if err != nil {
		t.Fatal(err)
	}
	o := order(t, workers, "")
	o.Spec.Run = nexus.Command{Argv: append(append(slices.Clone(python), script), words...)}
	o.Env["PYTHONPATH"], o.Env["PYTHONDONTWRITEBYTECODE"], o.Env["OMP_NUM_THREADS"] = sdk, "1", "1"
	o.Spec.Checkpoint = &nexus.CheckpointSpec{Path: "ckpt", Grace: nexus.Duration(2 * time.Minute)}
	return o
}

// stopWhenTraining waits until every rank has made some steps, gives the order and returns how the attempt ended.
func stopWhenTraining(t *testing.T, r *running, workers int, kind nexus.StopKind, steps int64) nexus.Result {
	t.Helper()
	eventually(t, 4*time.Minute, "all ranks train", func() bool {
		for rank := range workers {
			if p, err := r.dir.Progress(rank); err != nil || p.Step < steps {
				return false
			}
		}
		return true
	})
	if err := r.dir.WriteStop(nexus.StopOrder{Kind: kind}); err != nil {
		t.Fatal(err)
	}
	return ended(t, r)
}

// ended waits longer than [running.result]: PyTorch takes its time on a busy machine.
func ended(t *testing.T, r *running) nexus.Result {
	t.Helper()
	eventually(t, 4*time.Minute, "the attempt ends", func() bool { _, err := r.dir.Result(); return err == nil })
	return r.result()
}

// A PyTorch job is preempted, goes on where it was saved and is cancelled; the agent believes both saves because it has
// read them.
func TestPyTorchSavesWhenItIsPreemptedAndCancelled(t *testing.T) {
	t.Parallel()
	o := sdkOrder(t, 2)
	first := startAgent(t, o, AgentOptions{})
	result := stopWhenTraining(t, first, 2, nexus.StopPreempt, 3)
	if result.Cause != nexus.CausePreempt || result.Ack == nil || result.Ack.Step < 3 || result.LostSeconds != 0 {
		t.Fatalf("%+v\n%s", result, content(t, first.dir.WorkerLog(0, 0)))
	}
	saved := result.Ack.Step
	for rank := range 2 {
		if log := content(t, first.dir.WorkerLog(0, rank)); !strings.Contains(log, "saved step ") {
			t.Errorf("rank %d: %s", rank, log)
		}
	}

	o.Attempt = 2
	second := startAgent(t, o, AgentOptions{})
	result = stopWhenTraining(t, second, 2, nexus.StopCancel, saved+3)
	if result.Cause != nexus.CauseCancel || result.Ack == nil || result.Ack.Step < saved+3 {
		t.Fatalf("saved step %d, then %+v\n%s", saved, result, content(t, second.dir.WorkerLog(0, 0)))
	}
	if log := content(t, second.dir.WorkerLog(0, 0)); !strings.Contains(log, fmt.Sprintf("from step %d\n", saved)) {
		t.Errorf("saved step %d, then\n%s", saved, log)
	}
}

// One rank hangs while it fetches a batch. All report the same last step, for the others wait in backward(): only the
// stacks tell who hangs, and where.
func TestPyTorchHangsAndTheRankIsNamedWithItsStack(t *testing.T) {
	t.Parallel()
	o := sdkOrder(t, 3, "hang=1")
	o.Spec.NoProgress = nexus.Duration(15 * time.Second)
	r := startAgent(t, o, AgentOptions{})
	result := ended(t, r)
	if result.Cause != nexus.CauseHang || result.Rank != 1 {
		t.Fatalf("%+v\n%s", result, content(t, r.dir.WorkerLog(0, 0)))
	}
	want := "every rank that reports stopped at step 3, and rank 1 is not where the others are; rank 1 is in fetch (sdk.py:"
	if !strings.Contains(result.Message, want) {
		t.Errorf("%q is not in %q", want, result.Message)
	}
	if len(result.Tail) != 2 || !strings.HasSuffix(result.Tail[0], " in fetch") || !strings.HasSuffix(result.Tail[1], " in <module>") {
		t.Errorf("its stack: %q", result.Tail)
	}
}
