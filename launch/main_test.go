package launch

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ainexus.io/attempt"
	"ainexus.io/c10d"
	"ainexus.io/launch/elastic"
	"ainexus.io/nexus"
	"ainexus.io/proc"
)

// TestMain lets the test binary play every part: keeper, agent and worker.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "store":
			askStore()
		case "node":
			beNode(os.Args[2:])
		case "beyond":
			waitBeyond(os.Args[2])
		case "bare":
			bare(os.Args[2:])
		case "trainer":
			train(os.Args[2:])
		case "keeper":
			exit(proc.Keep(os.Args[2], os.Args[3], os.NewFile(proc.KeeperPipe, "pipe")))
		case "agent":
			exit(Agent(context.Background(), attempt.Dir(os.Args[2]), AgentOptions{
				Keeper: keeperArgv(), Secrets: SecretsOf(os.Environ()), Backoff: quick(),
			}))
		}
	}
	os.Exit(m.Run())
}

// exit ends a part. The race detector would make os.Exit wait for a second.
func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		syscall.Exit(1)
	}
	syscall.Exit(0)
}

func keeperArgv() []string {
	self, _ := os.Executable()
	return []string{self, "keeper"}
}

func quick() elastic.Backoff {
	return elastic.Backoff{First: 10 * time.Millisecond, Cap: 20 * time.Millisecond}
}

// order is a job of so many workers that run a shell line.
func order(t *testing.T, workers int, line string) nexus.Order {
	t.Helper()
	return nexus.Order{
		Job: "t" + strings.ToLower(strings.NewReplacer("/", "", "_", "").Replace(t.Name())) + fmt.Sprint(time.Now().UnixNano()), Attempt: 1,
		Seat:    nexus.Seat{Node: "here", Workers: workers, CPU: nexus.CPU(workers) * 1000},
		Workdir: t.TempDir(),
		Env:     map[string]string{"PATH": os.Getenv("PATH"), "HOME": "/nowhere"},
		Spec: nexus.Spec{
			Name: "test", Type: nexus.Training, Nodes: nexus.Range{Min: 1, Max: 1}, Workers: workers, Run: nexus.Command{Shell: line},
			Restart: nexus.Restart{On: []nexus.Cause{nexus.CauseExit, nexus.CauseHang, nexus.CauseNode, nexus.CausePreempt}},
		},
	}
}

// prepare makes the attempt's directory. Whatever happens, nothing of it is left after the test.
func prepare(t *testing.T, o nexus.Order) attempt.Dir {
	t.Helper()
	dir := attempt.At(t.TempDir(), o.Job, o.Attempt)
	if err := dir.Create(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		a, _ := dir.Agent()
		if err := proc.KillAttempt(attempt.Name(o.Job, o.Attempt), a.Cgroup, 10*time.Second); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// running is an agent that works in this process.
type running struct {
	t    *testing.T
	dir  attempt.Dir
	done chan error
	end  context.CancelFunc
}

func startAgent(t *testing.T, o nexus.Order, opts AgentOptions) *running {
	t.Helper()
	dir := prepare(t, o)
	opts.Keeper = keeperArgv()
	if opts.Backoff == (elastic.Backoff{}) {
		opts.Backoff = quick()
	}
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{t: t, dir: dir, done: make(chan error, 1), end: cancel}
	go func() { r.done <- Agent(ctx, dir, opts) }()
	return r
}

// result waits for the agent's last word.
func (r *running) result() nexus.Result {
	r.t.Helper()
	select {
	case err := <-r.done:
		if err != nil {
			r.t.Fatal(err)
		}
	case <-time.After(60 * time.Second):
		r.t.Fatal("the agent does not end")
	}
	result, err := r.dir.Result()
	if err != nil {
		r.t.Fatal(err)
	}
	return result
}

func runAgent(t *testing.T, o nexus.Order) (nexus.Result, attempt.Dir) {
	t.Helper()
	r := startAgent(t, o, AgentOptions{})
	return r.result(), r.dir
}

// eventually polls until ok, or fails with what.
func eventually(t *testing.T, within time.Duration, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", within, what)
		}
	}
}

// withinASecond reports whether ok comes true within a second of a machine that has time for us: one that is busy with other things
// has looks, which it takes as long for as for all else.
func withinASecond(ok func() bool) bool {
	const looks = 150
	began := time.Now()
	for n := 0; !ok(); n++ {
		if n > looks && time.Since(began) > time.Second {
			return false
		}
		time.Sleep(5 * time.Millisecond)
	}
	return true
}

func content(t *testing.T, elements ...string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(elements...))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// alive says no of a zombie, which an init that reaps late leaves lying about.
func alive(pid int) bool {
	_, err := proc.Identify(pid)
	return err == nil
}

func waitLong() elastic.Backoff { return elastic.Backoff{First: time.Hour, Cap: time.Hour} }

func touch(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// askStore is a worker that looks into the round's store, leaves something there and fails.
func askStore() {
	client, err := c10d.Dial(context.Background(), net.JoinHostPort(os.Getenv("MASTER_ADDR"), os.Getenv("MASTER_PORT")), c10d.ClientOptions{})
	if err != nil {
		exit(err)
	}
	n, err := client.Add(context.Background(), "rounds", 1)
	if err == nil && n == 1 {
		fmt.Println("the store was empty")
	}
	exit(errors.Join(err, errors.New("once more")))
}
