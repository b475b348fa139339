package launch

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ainexus.io/attempt"
	"ainexus.io/nexus"
)

func TestTheFirstErrorIsTheRootCause(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, line string
		exit       int
		message    string
	}{
		{"a code", `[ $RANK = 1 ] || exec sleep 1000; echo because; exit 3`, 3, "rank 1 exited with code 3"},
		{"a signal", `[ $RANK = 1 ] || exec sleep 1000; echo because; kill -SEGV $$`, 139, "rank 1 was killed by SIGSEGV"},
		{"a program below", `[ $RANK = 1 ] || exec sleep 1000; echo because; sh -c 'kill -KILL $$'`, 137,
			"rank 1 exited with code 137 (a process below it was killed by SIGKILL)"},
		{"not found by the shell", `[ $RANK = 1 ] || exec sleep 1000; echo because; nosuchprogram`, 127,
			"rank 1 exited with code 127 (the shell did not find a command)"},
		{"its own words", `[ $RANK = 1 ] || exec sleep 1000; echo because
			printf '{"message":{"message":"ValueError: bad label\\nmore","extraInfo":{"timestamp":"1700000000"}}}' >$TORCHELASTIC_ERROR_FILE; exit 1`,
			1, "rank 1 exited with code 1: ValueError: bad label"},
		{"a traceback", `[ $RANK = 1 ] || exec sleep 1000; echo because; printf 'Traceback:\n  File "x"\nKeyError: 7\n' >&2; exit 1`, 1,
			"rank 1 exited with code 1: KeyError: 7"},
		{"who hears of it first", `case $RANK in
			1) echo because; echo '{"message":"ValueError: x"}' >$TORCHELASTIC_ERROR_FILE; touch said; exec sleep 1000;;
			2) until [ -e said ]; do sleep 0.01; done; echo 'what():  Connection closed by peer'; kill -ABRT $$;;
			*) exec sleep 1000;; esac`, 1, "rank 1 failed: ValueError: x"},
		{"who follows", `if [ $RANK != 1 ]; then trap 'exit 4' TERM; sleep 1000 & wait; fi; echo because; exit 3`, 3, "rank 1 exited with code 3"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			result, _ := runAgent(t, order(t, 3, test.line))
			if result.OK || result.Cause != nexus.CauseExit || result.Rank != 1 || result.Exit != test.exit || result.Message != test.message {
				t.Errorf("%+v", result)
			}
			if len(result.Tail) == 0 || result.Tail[0] != "because" {
				t.Errorf("tail %q", result.Tail)
			}
		})
	}
}

func TestARestartIsPaidForBeforeItBegins(t *testing.T) {
	t.Parallel()
	o := order(t, 2, `grep -q "\"number\":$NEXUS_ROUND," "$RECORD" || exit 99; [ $NEXUS_ROUND = 2 ] || exit 1`)
	o.RestartsLeft = 2
	dir := attempt.At(t.TempDir(), o.Job, 1)
	o.Env["RECORD"] = filepath.Join(string(dir), "rounds.json")
	if err := dir.Create(o); err != nil {
		t.Fatal(err)
	}
	if err := Agent(t.Context(), dir, AgentOptions{Keeper: keeperArgv(), Backoff: quick()}); err != nil {
		t.Fatal(err)
	}
	result, err := dir.Result()
	if err != nil || !result.OK || result.Charged != 2 || result.Round != 2 {
		t.Fatalf("%+v %v", result, err)
	}
	rounds, err := dir.Rounds()
	if err != nil || rounds.RestartsLeft != 0 || len(rounds.Rounds) != 3 {
		t.Fatalf("%+v %v", rounds, err)
	}
	for i, cause := range []nexus.Cause{nexus.CauseExit, nexus.CauseExit, ""} {
		if rounds.Rounds[i].Number != i || rounds.Rounds[i].Cause != cause {
			t.Errorf("round %d: %+v", i, rounds.Rounds[i])
		}
	}
}

// Whatever dies in whatever way, there are no more rounds than were paid for, and the result says how many.
func TestTheBudgetHoldsWhateverIsKilled(t *testing.T) {
	t.Parallel()
	for range 6 {
		budget := rand.IntN(4)
		signals := []string{"KILL", "TERM", "SEGV", "INT", "ABRT"}
		line := fmt.Sprintf(`[ $RANK != %d ] || kill -%s $$; exec sleep 1000`, rand.IntN(3), signals[rand.IntN(len(signals))])
		t.Run(fmt.Sprint(budget, line), func(t *testing.T) {
			t.Parallel()
			o := order(t, 3, `echo began >>"$COUNT.$RANK"; `+line)
			o.Env["COUNT"] = filepath.Join(o.Workdir, "count")
			o.RestartsLeft = budget
			result, dir := runAgent(t, o)
			rounds, err := dir.Rounds()
			if err != nil || len(rounds.Rounds) != budget+1 || result.Charged != budget || rounds.RestartsLeft != 0 || result.OK {
				t.Errorf("%+v %+v %v", result, rounds, err)
			}
			for rank := range 3 {
				lines, _ := os.ReadFile(fmt.Sprintf("%s.%d", o.Env["COUNT"], rank)) // absent where it was killed at once each time
				if began := strings.Count(string(lines), "began"); began > budget+1 {
					t.Errorf("rank %d began %d times with a budget of %d", rank, began, budget)
				}
			}
			if budget > 0 && !strings.HasSuffix(result.Message, "; no restart is left") {
				t.Errorf("message %q", result.Message)
			}
		})
	}
}

func TestAnEndingThatTheJobDoesNotNameIsFinal(t *testing.T) {
	t.Parallel()
	o := order(t, 1, "exit 5")
	o.RestartsLeft, o.Spec.Restart.On = 3, []nexus.Cause{nexus.CauseHang}
	result, _ := runAgent(t, o)
	if result.Charged != 0 || result.Exit != 5 || result.Message != "rank 0 exited with code 5; the job is not restarted on exit" {
		t.Errorf("%+v", result)
	}
}

func TestTheOOMKillerIsNamed(t *testing.T) {
	t.Parallel()
	o := order(t, 2, `[ $RANK = 1 ] || exec sleep 1000; exec tail /dev/zero`)
	o.Env["OMP_NUM_THREADS"] = "1" // else a note says what it is
	o.Limits, o.Seat.Memory, o.Seat.CPU = true, 64, 0
	r := startAgent(t, o, AgentOptions{})
	status := nexus.Status{}
	eventually(t, 20*time.Second, "the agent says what it can hold", func() bool {
		status, _ = r.dir.Status()
		return status.State != ""
	})
	if a, _ := r.dir.Agent(); a.Cgroup == "" || len(status.Notes) > 0 {
		r.end()
		r.result()
		if os.Getenv("CI") == "true" && os.Getuid() == 0 {
			t.Fatalf("no cgroup takes limits here: %q", status.Notes)
		}
		t.Skipf("no cgroup takes limits here: %q", status.Notes)
	}
	result := r.result()
	want := "rank 1 was killed by SIGKILL by the kernel's OOM killer, memory limit 64 MiB"
	if result.Message != want || result.Exit != 137 || result.Rank != 1 || result.Cause != nexus.CauseOOM || result.OutOf != nexus.OutOfMemory ||
		result.PeakMemory < 48 || result.PeakMemory > 64 {
		t.Errorf("%+v", result)
	}
}

// PyTorch says that a GPU is full; a job without one may print what it likes.
func TestAFullGPUIsNamed(t *testing.T) {
	t.Parallel()
	const torch = `echo "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB." >&2; exit 1`
	for _, gpus := range [][]nexus.SeatGPU{nil, {{Index: 0, UUID: "GPU-0"}}} {
		o := order(t, 1, torch)
		o.Seat.GPUs = gpus
		o.Spec.Restart = nexus.Restart{Max: 2, On: []nexus.Cause{nexus.CauseOOM}, Grow: 1500}
		o.RestartsLeft = 2
		result := startAgent(t, o, AgentOptions{}).result()
		cause, outOf := nexus.CauseExit, nexus.OutOf("")
		if gpus != nil {
			cause, outOf = nexus.CauseOOM, nexus.OutOfGPUMemory
		}
		if result.Cause != cause || result.OutOf != outOf || result.Round != 0 || result.Charged != 0 {
			t.Errorf("with %d GPUs it ended as %+v", len(gpus), result)
		}
	}
}

func TestWhatCannotBeginSaysWhy(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		change  func(o *nexus.Order)
		message string
	}{
		{"no such program", func(o *nexus.Order) { o.Spec.Run = nexus.Command{Shell: "nosuchprogram --fast"} },
			`the program "nosuchprogram" was not found (hint: install it`},
		{"no such file", func(o *nexus.Order) { o.Spec.Run = nexus.Command{Argv: []string{"./train"}} },
			`the program "./train" does not exist (hint: check the path, or build it in `},
		{"not executable", func(o *nexus.Order) {
			os.WriteFile(filepath.Join(o.Workdir, "train.py"), nil, 0o644)
			o.Spec.Run = nexus.Command{Argv: []string{"./train.py"}}
		}, `the program "./train.py" is not executable (hint: chmod +x it`},
		{"a directory", func(o *nexus.Order) { o.Spec.Run = nexus.Command{Argv: []string{"/tmp"}} }, `"/tmp" is a directory, not a program`},
		{"no interpreter", func(o *nexus.Order) {
			os.WriteFile(filepath.Join(o.Workdir, "train"), []byte("#!/no/such/python\n"), 0o755)
			o.Spec.Run = nexus.Command{Argv: []string{"./train"}}
		}, `the program "./train" could not be started: the interpreter that it names does not exist`},
		{"no #! line", func(o *nexus.Order) {
			os.WriteFile(filepath.Join(o.Workdir, "train"), []byte("import torch\n"), 0o755)
			o.Spec.Run = nexus.Command{Argv: []string{"./train"}}
		}, `the program "./train" is not for this machine, or a script without a #! line`},
		{"the directory went", func(o *nexus.Order) { os.RemoveAll(o.Workdir) }, "does not exist (any more) (hint: bring it back"},
		{"the directory is a file", func(o *nexus.Order) { o.Workdir = "/etc/passwd" }, "the working directory /etc/passwd is not a directory"},
		{"setup removes the directory", func(o *nexus.Order) { o.Spec.Setup = nexus.Command{Shell: `rmdir "$PWD"`} }, "does not exist (any more)"},
		{"setup has no program", func(o *nexus.Order) { o.Spec.Setup = nexus.Command{Argv: []string{"nosuchsetup"}} },
			`setup: the program "nosuchsetup" was not found`},
		{"too long for the kernel", func(o *nexus.Order) { o.Env["LONG"] = strings.Repeat("x", 4<<20) },
			"the arguments and the environment are larger than the kernel takes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			o := order(t, 2, "exit 0")
			o.RestartsLeft = 3
			test.change(&o)
			result, _ := runAgent(t, o)
			if result.OK || result.Cause != nexus.CauseSetup || result.Charged != 0 || result.Exit == 0 || !strings.Contains(result.Message, test.message) {
				t.Errorf("%+v", result)
			}
		})
	}
}

func TestSetupRunsOnceAndItsFailureIsTheEnd(t *testing.T) {
	t.Parallel()
	o := order(t, 2, `./made && [ $NEXUS_ROUND = 1 ]`)
	o.RestartsLeft = 1
	o.Spec.Setup = nexus.Command{Shell: `echo setting up; [ -z "$RANK" ]; echo x >>times; printf '#!/bin/sh\nexit 0\n' >made; chmod +x made`}
	result, dir := runAgent(t, o)
	if !result.OK || content(t, o.Workdir, "times") != "x\n" || content(t, dir.SetupLog()) != "setting up\n" {
		t.Errorf("%+v", result)
	}

	o = order(t, 2, "exit 0")
	o.Spec.Setup = nexus.Command{Shell: "echo no wheel for this platform >&2; exit 9"}
	result, _ = runAgent(t, o)
	if result.Cause != nexus.CauseSetup || result.Exit != 9 || result.Message != "setup exited with code 9" || len(result.Tail) != 1 {
		t.Errorf("%+v", result)
	}
}

func TestSecretsReachTheWorkersAndNobodyElse(t *testing.T) {
	t.Parallel()
	o := order(t, 1, `[ "$TOKEN" = "$(printf s3; echo cret)" ] && [ "$KEY" = "from a file" ] && [ -z "$NEXUS_SECRET_HF" ] && [ -z "$NEXUS_SECRET_OLD" ]`)
	os.WriteFile(filepath.Join(o.Workdir, "key"), []byte("from a file\n"), 0o600)
	o.Env["NEXUS_SECRET_OLD"] = "captured by accident"
	o.Spec.Env = map[string]nexus.EnvValue{"TOKEN": {From: "env:HF"}, "KEY": {From: "file:key"}}
	r := startAgent(t, o, AgentOptions{Secrets: SecretsOf([]string{"A=b", "NEXUS_SECRET_HF=s3cret"})})
	if result := r.result(); !result.OK {
		t.Errorf("%+v", result)
	}
	err := filepath.WalkDir(string(r.dir), func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && strings.Contains(content(t, path), "s3cret") {
			t.Errorf("%s holds the secret", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}

	for from, message := range map[string]string{
		"env:NOWHERE":    "the secret env:NOWHERE was not set where the job was submitted or where the daemon runs (hint: export NOWHERE and submit again) for TOKEN",
		"file:nowhere":   "the secret cannot be read",
		"secret:hf/tokn": "the secret secret:hf/tokn is for Kubernetes",
	} {
		o := order(t, 1, "exit 0")
		o.Spec.Env = map[string]nexus.EnvValue{"TOKEN": {From: from}}
		if result, _ := runAgent(t, o); result.Cause != nexus.CauseSetup || !strings.Contains(result.Message, message) {
			t.Errorf("%s: %+v", from, result)
		}
	}
}

func TestWithoutAKeeperNothingBegins(t *testing.T) {
	t.Parallel()
	o := order(t, 1, "echo ran >ran")
	dir := prepare(t, o)
	if err := Agent(t.Context(), dir, AgentOptions{Keeper: []string{"/nonexistent"}}); err != nil {
		t.Fatal(err)
	}
	result, err := dir.Result()
	if err != nil || result.Cause != nexus.CauseSetup || !strings.HasPrefix(result.Message, "starting the keeper: ") {
		t.Errorf("%+v %v", result, err)
	}
	if _, err := os.Stat(filepath.Join(o.Workdir, "ran")); err == nil {
		t.Error("it ran")
	}
}
