package machine_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"ainexus.io/bench/machine"
)

func TestMemoryAndChildrenOfAProcess(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("there is no /proc on this system")
	}
	cat := exec.Command("cat") // waits for its input
	in, err := cat.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cat.Start(); err != nil {
		t.Fatal(err)
	}
	defer cat.Wait()
	defer in.Close()

	children, err := machine.Children(os.Getpid())
	if err != nil || !slices.ContainsFunc(children, func(p machine.Process) bool { return p.PID == cat.Process.Pid }) {
		t.Errorf("our children are %v (%v), without cat", children, err)
	}
	alone, err := machine.PSS(os.Getpid())
	if err != nil || alone <= 0 {
		t.Fatalf("PSS %d, %v", alone, err)
	}
	both, err := machine.PSS(os.Getpid(), cat.Process.Pid)
	if err != nil || both <= 0 {
		t.Errorf("PSS of two %d, %v", both, err)
	}
	if rss, err := machine.RSS(os.Getpid()); err != nil || rss < alone/2 {
		t.Errorf("RSS %d, %v; PSS was %d", rss, err, alone)
	}
	if _, err := machine.RSS(-1); err == nil {
		t.Error("a process that is not there has no memory")
	}
}

func TestConditionsAreToldInFull(t *testing.T) {
	facts := machine.Describe(t.Context())
	for _, name := range []string{"date", "cpu", "cores", "kernel", "go", "load before", "torch", "torch's BLAS"} {
		if !slices.ContainsFunc(facts, func(f machine.Fact) bool { return f.Name == name }) {
			t.Errorf("nothing is told about %s", name)
		}
	}
	for _, f := range facts {
		if strings.Contains(f.Value, "\n") {
			t.Errorf("%s has several lines: %q", f.Name, f.Value)
		}
	}
}

func TestTheRootIsFoundFromBelow(t *testing.T) {
	root, err := machine.Root()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(root + "/go.mod"); err != nil {
		t.Error(err)
	}
	t.Chdir(t.TempDir())
	if root, err := machine.Root(); err == nil {
		t.Errorf("found %s outside the repository", root)
	}
}

// A process that does not end when it is asked to is killed.
func TestReapEndsAProcess(t *testing.T) {
	t.Parallel() // it takes as long as the program's patience
	stubborn := exec.Command("sleep", "600")
	if err := stubborn.Start(); err != nil {
		t.Fatal(err)
	}
	machine.Reap(stubborn)
	if status, ok := stubborn.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
		t.Errorf("it ended with %v", stubborn.ProcessState)
	}
}

func TestUntilSaysHowLongItWaited(t *testing.T) {
	asked := 0
	if err := machine.Until(t.Context(), time.Minute, func() (bool, error) { asked++; return asked == 3, nil }); err != nil || asked != 3 {
		t.Errorf("asked %d times: %v", asked, err)
	}
	err := machine.Until(t.Context(), time.Nanosecond, func() (bool, error) { return false, nil })
	if !errors.Is(err, context.DeadlineExceeded) || err.Error() != "not after 1ns: context deadline exceeded" {
		t.Errorf("got %v", err)
	}
}
