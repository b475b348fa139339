//go:build unix

package train

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"ainexus.io/train/checkpoint"
)

// A rank that is killed -9 is named by every other rank within two seconds.
func TestKilledRankIsNamedByAll(t *testing.T) {
	p := spawn(t, 4, "reduce")
	for _, out := range p.outs {
		out.await(t, "reducing")
	}
	p.cmds[2].Process.Kill()
	began := time.Now()
	p.wait()
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("it took %v", took)
	}
	for _, rank := range []int{0, 1, 3} {
		if !strings.Contains(p.outs[rank].String(), "rank 2 died") {
			t.Errorf("rank %d says %s", rank, p.outs[rank])
		}
	}
}

// A rank that is stopped is not dead: the others time out and say that it does not answer. One that lives but does
// not come is told apart.
func TestStoppedRankTimesOut(t *testing.T) {
	p := spawn(t, 4, "barrier")
	p.outs[2].await(t, "joined")
	p.wait(0, 1, 3)
	for _, rank := range []int{0, 1, 3} {
		if !strings.Contains(p.outs[rank].String(), "waiting for rank 2") {
			t.Errorf("rank %d says %s", rank, p.outs[rank])
		}
	}

	p = spawn(t, 4, "reduce", "TRAIN_TEST_TIMEOUT=1s")
	for _, out := range p.outs {
		out.await(t, "reducing")
	}
	p.cmds[1].Process.Signal(syscall.SIGSTOP)
	p.wait(0, 2, 3)
	p.cmds[1].Process.Kill()
	p.wait(1)
	for _, rank := range []int{0, 2, 3} {
		if !strings.Contains(p.outs[rank].String(), "no answer from rank 1") {
			t.Errorf("rank %d says %s", rank, p.outs[rank])
		}
	}
}

// A script that fails or panics ends all ranks with its reason, and only its own error file holds one.
func TestFailureOfOneEndsAll(t *testing.T) {
	for script, words := range map[string]string{
		"fail":  "rank 1 failed: loss is NaN at step 7",
		"panic": "rank 1 panicked: runtime error: index out of range [1] with length 0",
	} {
		dir := t.TempDir()
		p := spawn(t, 3, script, "TORCHELASTIC_ERROR_FILE="+filepath.Join(dir, "{rank}.json"))
		p.wait()
		for _, rank := range []int{0, 2} {
			if p.errs[rank] == nil || !strings.Contains(p.outs[rank].String(), words) {
				t.Errorf("rank %d says %s", rank, p.outs[rank])
			}
		}
		files, err := filepath.Glob(filepath.Join(dir, "*.json"))
		if err != nil || len(files) != 1 || filepath.Base(files[0]) != "1.json" {
			t.Fatalf("error files: %v", files)
		}
		var told struct {
			Message struct {
				Message string
				Extra   struct {
					Stack string `json:"py_callstack"`
					Time  string `json:"timestamp"`
				} `json:"extraInfo"`
			}
		}
		data, err := os.ReadFile(files[0])
		if err == nil {
			err = json.Unmarshal(data, &told)
		}
		if err != nil || told.Message.Message == "" || told.Message.Extra.Time == "" ||
			(script == "panic") != strings.Contains(told.Message.Extra.Stack, "world_test.go") {
			t.Errorf("the error file says %+v (%v)", told, err)
		}
	}
}

// SIGTERM reaches the ranks at different times; all stop at one step, with equal replicas, one checkpoint of that
// step and an acknowledgement.
func TestStopIsAgreedSavedAndAcknowledged(t *testing.T) {
	dir := t.TempDir()
	ckpt, ackFile := filepath.Join(dir, "ckpt"), filepath.Join(dir, "ack.json")
	p := spawn(t, 4, "until stopped", "TRAIN_TEST_CKPT="+ckpt, "NEXUS_ATTEMPT=job-x/3", "NEXUS_ACK_FILE="+ackFile,
		"NEXUS_PROGRESS_FILE="+filepath.Join(dir, "progress-{rank}.json"))
	for _, out := range p.outs {
		out.await(t, "training")
	}
	for _, rank := range []int{3, 1, 0, 2} {
		p.cmds[rank].Process.Signal(syscall.SIGTERM)
	}
	p.wait()
	p.ok(t)
	stopped := regexp.MustCompile(`stopped at (\d+) [0-9a-f]{64}`)
	said := stopped.FindString(p.outs[0].String())
	for rank, out := range p.outs {
		if got := stopped.FindString(out.String()); got != said || said == "" {
			t.Errorf("rank %d says %q, rank 0 %q", rank, got, said)
		}
	}
	var ack struct {
		Attempt, Path string
		Step          int64
	}
	data, err := os.ReadFile(ackFile)
	if err == nil {
		err = json.Unmarshal(data, &ack)
	}
	if err != nil {
		t.Fatal(err)
	}
	found, _, err := checkpoint.At(ckpt, checkpoint.Options{}).Latest()
	if err != nil {
		t.Fatal(err)
	}
	if ack.Attempt != "job-x/3" || ack.Path != found.Path || ack.Step != found.Manifest.Step ||
		!strings.Contains(said, " "+jsonNumber(ack.Step)+" ") || found.Manifest.Epoch != (checkpoint.Epoch{Attempt: 3}) {
		t.Errorf("acknowledged %+v, found %+v, %s", ack, found, said)
	}
	for rank := range p.outs {
		var last progress
		data, err := os.ReadFile(filepath.Join(dir, "progress-"+jsonNumber(int64(rank))+".json"))
		if err == nil {
			err = json.Unmarshal(data, &last)
		}
		if err != nil || last.Step != ack.Step || last.Rank != rank || last.Loss == nil {
			t.Errorf("rank %d's last word is %+v (%v), the stop was at %d", rank, last, err, ack.Step)
		}
	}
}

func jsonNumber(n int64) string { data, _ := json.Marshal(n); return string(data) }

// Asked by SIGUSR1, a rank that trains says where all its goroutines are, the main one by name, and trains on.
func TestStacksOnRequest(t *testing.T) {
	dir := t.TempDir()
	stack := filepath.Join(dir, "stack")
	p := spawn(t, 1, "until stopped", "TRAIN_TEST_CKPT="+filepath.Join(dir, "ckpt"), "NEXUS_STACK_FILE="+stack)
	asked := false
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		data, _ := os.ReadFile(stack)
		if !asked && string(data) == fmt.Sprintf("pid %d\n", p.cmds[0].Process.Pid) {
			p.cmds[0].Process.Signal(syscall.SIGUSR1)
			asked = true
		}
		if strings.Contains(string(data), "\ngoroutine 1 [") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the stack file holds %q", data)
		}
	}
	p.cmds[0].Process.Signal(syscall.SIGTERM)
	p.wait()
	p.ok(t)
	if _, err := os.Stat(stack); !os.IsNotExist(err) {
		t.Errorf("it still says that somebody listens: %v", err)
	}
}

// The same seed and world size give the same bits, run after run.
func TestSameSeedSameBitsAcrossProcesses(t *testing.T) {
	var first string
	for range 2 {
		p := spawn(t, 4, "short")
		p.wait()
		p.ok(t)
		result := regexp.MustCompile(`result .*`).FindString(p.outs[3].String())
		if first == "" {
			first = result
		}
		if result != first || result == "" {
			t.Errorf("%q, then %q", first, result)
		}
	}
}

// A job whose ranks are killed -9 again and again, each time started anew as the launcher does, ends with the bits of one
// that was left alone.
func TestKilledJobEndsWithTheSameBits(t *testing.T) {
	result := regexp.MustCompile(`result .*`)
	alone := spawn(t, 3, "long")
	alone.wait()
	alone.ok(t)
	want := result.FindString(alone.outs[0].String())

	ckpt := filepath.Join(t.TempDir(), "ckpt")
	kills := 0
	for round := 0; ; round++ {
		p := spawn(t, 3, "long", "TRAIN_TEST_CKPT="+ckpt, "NEXUS_ATTEMPT=j/1", "TORCHELASTIC_RESTART_COUNT="+jsonNumber(int64(round)))
		if kills < 4 {
			p.outs[0].await(t, fmt.Sprintf("save %d of this round", 1+rand.IntN(4)))
			p.cmds[rand.IntN(3)].Process.Kill()
		}
		p.wait()
		if p.errs[0] == nil && p.errs[1] == nil && p.errs[2] == nil {
			for rank, out := range p.outs {
				if got := result.FindString(out.String()); got != want || got == "" {
					t.Errorf("after %d kills rank %d has %q, undisturbed it was %q", kills, rank, got, want)
				}
			}
			break
		}
		kills++
	}
	if kills == 0 {
		t.Error("no kill met a running job: the test showed nothing")
	}
}
