package cli_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"ainexus.io/api"
	"ainexus.io/proc"
)

// built is where TestMain put the program: the stories run what users run.
var built string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "nexus-cli-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	built = dir
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "nexus"), "ainexus.io/cmd/nexus")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building nexus: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// TestStories runs the scripts of testdata, each with a state directory and, where it needs one, a daemon of its own.
func TestStories(t *testing.T) {
	t.Parallel() // while the idle daemon has its minute
	testscript.Run(t, testscript.Params{
		Dir:       "testdata",
		Condition: can,
		Setup: func(env *testscript.Env) error {
			state, err := os.MkdirTemp("", "nx") // short: a socket's path is
			if err != nil {
				return err
			}
			env.Defer(func() {
				clearUp(t, state)
				os.RemoveAll(state)
			})
			home := filepath.Join(env.WorkDir, "home")
			env.Setenv("HOME", home)
			env.Setenv("NEXUS_STATE", filepath.Join(state, "s"))
			env.Setenv("NEXUS_LISTEN", "127.0.0.1:0")
			env.Setenv("PATH", built+string(os.PathListSeparator)+os.Getenv("PATH"))
			example, err := filepath.Abs("../examples/pytorch-ddp")
			if err != nil {
				return err
			}
			env.Setenv("EXAMPLE", example)
			modules, err := exec.Command("go", "env", "GOMODCACHE", "GOPROXY", "GOCACHE").Output()
			if err != nil {
				return err
			}
			for i, value := range strings.Split(strings.TrimSpace(string(modules)), "\n") {
				env.Setenv([]string{"GOMODCACHE", "GOPROXY", "GOCACHE"}[i], value)
			}
			return os.MkdirAll(home, 0o755)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"until": until, "gone": gone, "until-file": untilFile, "signal": signalJob, "listen": listen, "sameas": sameAs,
			"newer": newer, "stranger": stranger, "small-disk": smallDisk,
		},
	})
}

// patience is for what comes in an instant on a quiet machine: two PyTorch imports on a busy one take half a minute.
const patience = 3 * time.Minute

// until PATTERN COMMAND... runs the command again and again until its output matches; with ! until it does not.
func until(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: until PATTERN COMMAND...")
	}
	pattern, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		program, err := exec.LookPath(filepath.Join(built, args[1]))
		ts.Check(err)
		cmd := exec.Command(program, args[2:]...) // not ts.Exec: the log would hold every try
		cmd.Dir = ts.MkAbs(".")
		for _, key := range []string{"PATH", "HOME", "NEXUS_STATE", "NEXUS_LISTEN", "NEXUS_IDLE_EXIT"} {
			cmd.Env = append(cmd.Env, key+"="+ts.Getenv(key))
		}
		out, err := cmd.CombinedOutput()
		if pattern.Match(out) != neg {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("%q never came; last: %v\n%s", args[0], err, out)
		}
	}
}

// signal NAME FILE sends a signal to the process whose id is in the file.
func signalJob(ts *testscript.TestScript, _ bool, args []string) {
	signals := map[string]syscall.Signal{"INT": syscall.SIGINT, "TERM": syscall.SIGTERM, "KILL": syscall.SIGKILL}
	pid, err := strconv.Atoi(strings.TrimSpace(ts.ReadFile(args[1])))
	ts.Check(err)
	ts.Check(syscall.Kill(pid, signals[args[0]]))
}

// until-file FILE PATTERN waits until the file holds the pattern.
func untilFile(ts *testscript.TestScript, _ bool, args []string) {
	pattern := regexp.MustCompile("(?m)" + args[1])
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		data, err := os.ReadFile(ts.MkAbs(args[0]))
		if err == nil && pattern.Match(data) {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("%q never came in %s:\n%s", args[1], args[0], data)
		}
	}
}

// can answers the conditions of stories: what this machine can do.
func can(name string) (bool, error) {
	switch name {
	case "torch":
		return hasTorch(), nil
	case "small-disk":
		return canMount(), nil
	case "memory-limits":
		return canLimit(), nil
	}
	return false, fmt.Errorf("unknown condition %s", name)
}

// hasTorch says whether a python3 here can import torch. CI is to find out what does not work.
func hasTorch() bool {
	if os.Getenv("CI") == "true" {
		return true
	}
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(python, "-c", "import torch").Run() == nil {
			return true
		}
	}
	return false
}

// canLimit says whether cgroups here take memory limits. In CI, as root, they have to.
func canLimit() bool {
	if os.Getenv("CI") == "true" && os.Getuid() == 0 {
		return true
	}
	group, notes := proc.NewCgroup("story/1", proc.Limits{Memory: 64 << 20})
	group.Remove()
	return len(notes) == 0
}

// gone FILE waits until the process whose id is in the file has ended.
func gone(ts *testscript.TestScript, _ bool, args []string) {
	pid, err := strconv.Atoi(strings.TrimSpace(ts.ReadFile(args[0])))
	ts.Check(err)
	for end := time.Now().Add(20 * time.Second); running(pid); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			ts.Fatalf("process %d does not end", pid)
		}
	}
}

// running says no of a zombie, which an init that reaps late leaves lying about.
func running(pid int) bool {
	_, err := proc.Identify(pid)
	return err == nil
}

// listen VARIABLE takes a port for as long as the story lasts and puts its address into the variable.
func listen(ts *testscript.TestScript, _ bool, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { l.Close() })
	ts.Setenv(args[0], l.Addr().String())
}

// sameas PATTERN... wants the last output to match all patterns, in order.
func sameAs(ts *testscript.TestScript, _ bool, args []string) {
	rest := ts.ReadFile("stdout")
	for _, pattern := range args {
		at := regexp.MustCompile("(?m)" + pattern).FindStringIndex(rest)
		if at == nil {
			ts.Fatalf("%q does not follow in\n%s", pattern, ts.ReadFile("stdout"))
		}
		rest = rest[at[1]:]
	}
}

// clearUp cancels what a story left running and ends its daemon.
func clearUp(t *testing.T, state string) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	client := api.NewSocketClient(filepath.Join(state, "s", "nexus.sock"))
	defer client.Close()
	daemon, err := client.Version(ctx)
	if err != nil {
		return // there is none
	}
	for {
		jobs, err := client.List(ctx, api.Filter{Live: true})
		if err != nil || len(jobs) == 0 {
			break
		}
		for _, j := range jobs {
			if j.Stop == "" {
				_, _ = client.Cancel(ctx, j.ID)
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err := syscall.Kill(daemon.PID, syscall.SIGTERM); err != nil {
		t.Errorf("ending the daemon: %v", err)
	}
	for running(daemon.PID) {
		if ctx.Err() != nil {
			t.Errorf("daemon %d does not end", daemon.PID)
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}
