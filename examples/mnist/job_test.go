package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// job is the program as its launcher runs it: built, and started once per rank.
type job struct {
	t       *testing.T
	program string
	dir     string
}

func newJob(t *testing.T) *job {
	t.Helper()
	j := &job{t: t, dir: t.TempDir()}
	j.program = filepath.Join(j.dir, "mnist")
	build := exec.Command("go", "build", "-o", j.program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	return j
}

// run starts four ranks as the given round, lets during see them, and returns what rank 0 printed.
func (j *job) run(round int, args []string, during func(cmds []*exec.Cmd)) string {
	j.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		j.t.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	listener.Close()
	var cmds []*exec.Cmd
	outs := make([]bytes.Buffer, 4)
	for rank := range 4 {
		cmd := exec.Command(j.program, append([]string{"-checkpoints", filepath.Join(j.dir, "ckpt")}, args...)...)
		cmd.Env = append(os.Environ(), "WORLD_SIZE=4", "LOCAL_WORLD_SIZE=4", "MASTER_ADDR=127.0.0.1", "OMP_NUM_THREADS=1",
			"NEXUS_ATTEMPT=job1/1", "NEXUS_ACK_FILE="+filepath.Join(j.dir, "ack.json"), fmt.Sprint("MASTER_PORT=", port),
			fmt.Sprint("RANK=", rank), fmt.Sprint("LOCAL_RANK=", rank), fmt.Sprint("TORCHELASTIC_RESTART_COUNT=", round),
			"NEXUS_PROGRESS_FILE="+j.progressFile(rank))
		cmd.Stdout, cmd.Stderr = &outs[rank], &outs[rank]
		if err := cmd.Start(); err != nil {
			j.t.Fatal(err)
		}
		j.t.Cleanup(func() { cmd.Process.Kill() })
		cmds = append(cmds, cmd)
	}
	if during != nil {
		during(cmds)
	}
	var all sync.WaitGroup
	for rank, cmd := range cmds {
		all.Go(func() {
			if err := cmd.Wait(); err != nil {
				j.t.Errorf("rank %d: %v\n%s", rank, err, &outs[rank])
			}
		})
	}
	all.Wait()
	return outs[0].String()
}

func (j *job) progressFile(rank int) string {
	return filepath.Join(j.dir, fmt.Sprint("progress", rank))
}

// steps returns how many steps a rank has reported.
func (j *job) steps(rank int) int {
	var p struct{ Step int }
	data, err := os.ReadFile(j.progressFile(rank))
	if err != nil || json.Unmarshal(data, &p) != nil {
		return 0
	}
	return p.Step
}

// The whole story on the real images: at least 97.5 %, the same parameters everywhere, a checkpoint that is there.
func TestFourProcessesLearnTheDigits(t *testing.T) {
	out := newJob(t).run(0, nil, nil)
	accuracy := regexp.MustCompile(`(?m)^test accuracy ([\d.]+) %$`).FindStringSubmatch(out)
	if accuracy == nil {
		t.Fatalf("no accuracy in\n%s", out)
	}
	if percent, _ := strconv.ParseFloat(accuracy[1], 64); percent < 97.5 {
		t.Errorf("the accuracy is %v %%", percent)
	}
	if !regexp.MustCompile(`(?m)^parameters sha256 [0-9a-f]{64} on all 4 ranks$`).MatchString(out) {
		t.Errorf("no digest in\n%s", out)
	}
	path := regexp.MustCompile(`(?m)^checkpoint (.+)$`).FindStringSubmatch(out)
	if path == nil {
		t.Fatalf("no checkpoint in\n%s", out)
	}
	if _, err := os.Stat(path[1] + ".nexus.json"); err != nil {
		t.Error(err)
	}
}

// Told to stop, the job saves and acknowledges; its next round goes on from there.
func TestStoppedJobGoesOn(t *testing.T) {
	j := newJob(t)
	args := []string{"-data", few(t, 12800, 1000), "-epochs", "3", "-hidden", "32"}
	j.run(0, args, func(cmds []*exec.Cmd) {
		for deadline := time.Now().Add(30 * time.Second); j.steps(0) < 20; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Error("the job makes no progress")
				return
			}
		}
		for _, cmd := range cmds {
			cmd.Process.Signal(syscall.SIGTERM)
		}
	})
	var ack struct {
		Attempt, Path string
		Step          int
	}
	data, err := os.ReadFile(filepath.Join(j.dir, "ack.json"))
	if err == nil {
		err = json.Unmarshal(data, &ack)
	}
	if err != nil || ack.Attempt != "job1/1" || ack.Step < 20 || ack.Step >= 300 {
		t.Fatalf("acknowledged %+v (%v)", ack, err)
	}
	out := j.run(1, args, nil)
	if !strings.Contains(out, fmt.Sprintf("from step %d\n", ack.Step)) || !strings.Contains(out, "test accuracy 9") {
		t.Errorf("acknowledged step %d; the next round printed\n%s", ack.Step, out)
	}
	if j.steps(3) != 300 {
		t.Errorf("the job ended at step %d of 300", j.steps(3))
	}
}
