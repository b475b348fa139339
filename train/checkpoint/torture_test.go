//go:build linux

package checkpoint

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The test binary runs itself as the process that is to be killed or to run out of space.
const (
	childDir   = "CHECKPOINT_TEST_DIR"
	childLimit = "CHECKPOINT_TEST_FSIZE"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		child(dir)
		return
	}
	os.Exit(m.Run())
}

// child saves step after step and tells each when it is safe. It stops at the first error.
func child(dir string) {
	step, _, err := At(dir, Options{}).Latest()
	if err != nil && !errors.Is(err, ErrNone) {
		fmt.Println("error", err)
		return
	}
	d := At(dir, Options{})
	if err := d.Claim(); err != nil {
		fmt.Println("error", err)
		return
	}
	if text := os.Getenv(childLimit); text != "" {
		limit, _ := strconv.ParseUint(text, 10, 64)
		signal.Ignore(syscall.SIGXFSZ)
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: limit, Max: limit}); err != nil {
			fmt.Println("error", err)
			return
		}
	}
	for at := step.Manifest.Step + 1; ; at++ {
		if _, err := d.Save(stateOf(at, 50_000)); err != nil {
			fmt.Println("error", err)
			return
		}
		fmt.Println("saved", at)
	}
}

func start(t *testing.T, env ...string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewScanner(out)
}

// A process that is killed -9 while it saves loses nothing it had said was saved, wherever the kill fell.
func TestKilledWhileSaving(t *testing.T) {
	dir := t.TempDir()
	promised := int64(0)
	for i := range 20 {
		cmd, lines := start(t, childDir+"="+dir)
		soon := time.Duration(20+rand.IntN(60)) * time.Millisecond
		kill := time.AfterFunc(soon, func() { cmd.Process.Kill() })
		if i%2 == 0 && kill.Stop() && lines.Scan() { // however slow the machine is, some save before they are killed
			kill.Reset(soon)
		}
		for ok := lines.Text() != "" || lines.Scan(); ok; ok = lines.Scan() {
			word, rest, _ := strings.Cut(lines.Text(), " ")
			if word != "saved" {
				t.Error(lines.Text())
				continue
			}
			promised, _ = strconv.ParseInt(rest, 10, 64)
		}
		cmd.Wait()
		kill.Stop()
		step, skipped := latestStep(t, dir)
		if step < promised || len(skipped) > 0 {
			t.Fatalf("step %d was promised, step %d is there, skipped %v", promised, step, skipped)
		}
	}
	if promised == 0 {
		t.Error("no save ever ended: the test showed nothing")
	}
}

// Where there is no space for a new checkpoint, the save says so and the old one stays.
func TestNoSpace(t *testing.T) {
	dir := t.TempDir()
	save(t, open(t, dir, Writer{}, 0), 1)
	cmd, lines := start(t, childDir+"="+dir, childLimit+"=100000")
	defer cmd.Wait()
	if !lines.Scan() || !strings.HasPrefix(lines.Text(), "error saving the checkpoint of step 2: ") ||
		!strings.Contains(lines.Text(), syscall.EFBIG.Error()) {
		t.Errorf("the save said %q", lines.Text())
	}
	if step, skipped := latestStep(t, dir); step != 1 || len(skipped) > 0 {
		t.Errorf("found step %d, skipped %v", step, skipped)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 4 { // lock, EPOCH, checkpoint, manifest
		t.Errorf("left are %v", entries)
	}
}
