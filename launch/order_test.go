package launch

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"ainexus.io/launch/site"
	"ainexus.io/nexus"
)

// launchOrdered is a launch as a place starts one: by a command line that says little, and an order in the environment.
func launchOrdered(t *testing.T, o nexus.Order, signals chan os.Signal, out io.Writer) nexus.Result {
	t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{EnvOrder: string(text), EnvResult: "/nowhere"}
	inv, err := ParseArgs(site.Site{}, []string{"--nnodes", "1", "--nproc-per-node", fmt.Sprint(o.Seat.Workers), "--max-restarts", "0"}, func(name string) string { return env[name] })
	if err != nil {
		t.Fatal(err)
	}
	opts := inv.Options
	opts.Dir, opts.Node, opts.Workers, opts.Keeper, opts.Signals = o.Workdir, "node-7", o.Seat.Workers, keeperArgv(), signals
	opts.Stdout = out
	for name, value := range env {
		opts.Env = append(opts.Env, name+"="+value)
	}
	for name, value := range o.Env {
		opts.Env = append(opts.Env, name+"="+value)
	}
	result, err := Run(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// An ordered launch is an attempt of its job: workers find their checkpoints by it, and what they launch is nobody's.
func TestAnOrderMakesALaunchAnAttempt(t *testing.T) {
	t.Parallel()
	o := order(t, 2, `env >env.$RANK; echo >told.$RANK; [ "$RANK" = 0 ] || { until [ -e told.0 ]; do sleep 0.01; done; exit 3; }`)
	o.Attempt, o.Env["SET"], o.Seat.Node = 4, "by the pod", ""
	o.Spec.Setup = nexus.Command{Shell: `echo "$NEXUS_ATTEMPT" >setup`}
	o.Spec.Checkpoint = &nexus.CheckpointSpec{Path: "kept", Grace: nexus.Duration(time.Minute)}
	o.Spec.Env = map[string]nexus.EnvValue{"SECRET": {From: "secret:a/b"}} // the kubelet's to resolve
	o.Spec.Run.Shell = "echo out; echo err >&2; " + o.Spec.Run.Shell
	result := launchOrdered(t, o, nil, io.Discard)
	for rank := range 2 { // the pod's own log goes with the pod
		if got := content(t, o.Workdir, "kept", "logs", o.Job, "4", fmt.Sprint(rank, ".log")); got != "out\nerr\n" {
			t.Errorf("kept of rank %d: %q", rank, got)
		}
	}
	if result.OK || result.Attempt != 4 || result.Cause != nexus.CauseExit || result.Rank != 1 || result.Exit != 3 || result.Charged != 0 {
		t.Errorf("%+v", result)
	}
	if got := content(t, o.Workdir, "setup"); got != o.Job+"/4\n" {
		t.Errorf("setup is of %q", got)
	}
	lines := strings.Split(content(t, o.Workdir, "env.0"), "\n")
	for _, want := range []string{
		"NEXUS_JOB=" + o.Job, "NEXUS_ATTEMPT=" + o.Job + "/4", "NEXUS_NODE=node-7", "NEXUS_CHECKPOINT_PATH=" + filepath.Join(o.Workdir, "kept"),
		"SET=by the pod", "OMP_NUM_THREADS=1", "WORLD_SIZE=2",
	} {
		if !slices.Contains(lines, want) {
			t.Errorf("no %s in\n%s", want, strings.Join(lines, "\n"))
		}
	}
	for _, line := range lines {
		if strings.HasPrefix(line, EnvOrder) || strings.HasPrefix(line, EnvResult) || strings.HasPrefix(line, "SECRET") {
			t.Errorf("workers see %s", line)
		}
	}
}

func TestAnOrderedLaunchThatMakesNoProgress(t *testing.T) {
	t.Parallel()
	o := trainOrder(t, 2, "stuck=1 wait")
	o.Spec.NoProgress = nexus.Duration(500 * time.Millisecond)
	if result := launchOrdered(t, o, nil, io.Discard); result.OK || result.Cause != nexus.CauseHang || result.Rank != 1 {
		t.Errorf("%+v", result)
	}
}

func TestLogsThatCannotBeKeptStopNobody(t *testing.T) {
	t.Parallel()
	o := order(t, 1, "echo trained")
	o.Spec.Checkpoint = &nexus.CheckpointSpec{Path: "file"}
	touch(t, filepath.Join(o.Workdir, "file"))
	var out strings.Builder
	if result := launchOrdered(t, o, nil, &out); !result.OK || out.String() != "[rank 0] trained\n" {
		t.Errorf("%+v\n%s", result, out.String())
	}
}

// TERM takes the node away for a reason that the launcher cannot know. The workers save with the job's grace, which is told.
func TestTERMToAnOrderedLaunchBecomesACheckpoint(t *testing.T) {
	t.Parallel()
	o := trainOrder(t, 2, "")
	o.Spec.Run.Shell += "; echo then"                                    // below a shell
	signals, out, once := make(chan os.Signal, 1), &heard{}, sync.Once{} // a second TERM would kill
	out.each = func(text string) {
		if strings.Count(text, "training\n") == 2 {
			once.Do(func() { signals <- syscall.SIGTERM })
		}
	}
	result := launchOrdered(t, o, signals, out)
	if result.OK || result.Cause != nexus.CauseNode || result.Exit != 128+15 || result.Ack == nil || result.Ack.Attempt != o.Job+"/1" {
		t.Errorf("%+v\n%s", result, out.text)
	}
}

// heard is output that somebody listens to.
type heard struct {
	text string
	each func(text string)
}

func (h *heard) Write(data []byte) (int, error) {
	h.text += string(data)
	h.each(h.text)
	return len(data), nil
}

func TestAnOrderThatMakesNoSense(t *testing.T) {
	for _, text := range []string{"{", "{}", `{"job": "a", "attempt": 1}`, `{"job": "a", "attempt": 0, "spec": {"run": "x"}}`} {
		_, err := ParseArgs(site.Site{}, nil, func(name string) string { return map[string]string{EnvOrder: text}[name] })
		if err == nil || !strings.Contains(err.Error(), EnvOrder) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// A kubelet cuts what is longer than 4096 bytes, and half a document says nothing.
func TestAResultThatAKubeletTakes(t *testing.T) {
	r := nexus.Result{Attempt: 2, Cause: nexus.CauseExit, Rank: 1, Exit: 3, Message: "rank 1 failed", Ack: &nexus.Ack{Attempt: "j/2", Step: 7, Path: "/ckpt/7"}}
	for i := range 20 {
		r.Tail = append(r.Tail, fmt.Sprintf("line %d %s", i, strings.Repeat("é", 200)))
	}
	long := r
	long.Message = strings.Repeat("失敗", 4000)
	for _, r := range []nexus.Result{r, long} {
		path := filepath.Join(t.TempDir(), "message")
		if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := LeaveResult(path, r); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var got nexus.Result
		if err := json.Unmarshal(data, &got); err != nil || len(data) > maxResult || got.Exit != 3 || got.Ack == nil || *got.Ack != *r.Ack {
			t.Errorf("%d bytes, %v: %s", len(data), err, data)
		}
		if len(got.Tail) > 0 && got.Tail[len(got.Tail)-1] != r.Tail[19] || len(got.Message) < 13 || !utf8.ValidString(got.Message) {
			t.Errorf("what is left: %s", data)
		}
	}
	if err := LeaveResult(filepath.Join(t.TempDir(), "no", "file"), r); err == nil {
		t.Error("it is left nowhere, and nobody says so")
	}
}
