package proc

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the test binary be the keeper and the supervisor.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "keeper":
			Keep(os.Args[2], os.Args[3], os.NewFile(KeeperPipe, "pipe"))
			syscall.Exit(0) // the race detector would make os.Exit wait for a second
		case "supervisor":
			supervise(os.Args[2], os.Args[3] == "cgroup", os.Args[4])
		case "eat":
			eat()
		}
	}
	os.Exit(m.Run())
}

func keeperArgv() []string {
	self, _ := os.Executable()
	return []string{self, "keeper"}
}

// supervise does what an agent does, tells the keeper's pid and the cgroup, and waits to be killed.
func supervise(name string, withCgroup bool, line string) {
	var group *Cgroup
	if withCgroup {
		group, _ = NewCgroup(name, Limits{})
	}
	keeper, err := StartKeeper(keeperArgv(), name, group.String())
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	if _, err := NewGroup(name, group).Start(shell(name, line)); err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	fmt.Printf("%d %s\n", keeper.PID(), group)
	select {}
}

// eat takes memory until somebody objects.
func eat() {
	var food [][]byte
	for {
		bite := make([]byte, 4<<20)
		for i := 0; i < len(bite); i += 4096 {
			bite[i] = 1
		}
		food = append(food, bite)
		if len(food) > 1000 {
			os.Exit(0)
		}
	}
}

// shell is a worker that runs a line.
func shell(name, line string) Command {
	return Command{
		Path: "/bin/sh", Argv: []string{"sh", "-c", line}, Dir: "/",
		Env: []string{"PATH=" + os.Getenv("PATH"), EnvAttempt + "=" + name},
	}
}

// attemptName is one that nobody else has.
func attemptName(t *testing.T) string {
	t.Helper()
	name := fmt.Sprintf("%s%d/1", strings.NewReplacer("/", "_", " ", "_").Replace(t.Name()), time.Now().UnixNano())
	t.Cleanup(func() {
		if err := KillAttempt(name, "", 10*time.Second); err != nil {
			t.Error(err)
		}
	})
	return name
}

// need skips a test that the machine cannot do, except in CI.
func need(t *testing.T, ok bool, what string) {
	t.Helper()
	if ok {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("this machine lacks what the test needs: %s", what)
	}
	t.Skipf("this machine lacks what the test needs: %s", what)
}

func needProgram(t *testing.T, name string) {
	t.Helper()
	_, err := exec.LookPath(name)
	need(t, err == nil, "the program "+name)
}

// eventually polls until ok, or fails with what.
func eventually(t *testing.T, within time.Duration, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", within, what)
		}
	}
}
