package cli_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"ainexus.io/api"
	"ainexus.io/nexus"
)

// A daemon that ran a job and has nothing to do lets the machine sleep: for a minute it does not ask the planner, and
// it uses at most a tenth of a second of processor time.
func TestAnIdleDaemonRests(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("processor time is read in /proc")
	}
	t.Parallel()
	rest := time.Minute
	if testing.Short() {
		rest = 5 * time.Second
	}
	state, err := os.MkdirTemp("", "nx") // short: a socket's path is
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(state) })
	socket := filepath.Join(state, "nexus.sock")
	daemon := exec.Command(filepath.Join(built, "nexus"), "up", "--state", state, "--listen", "none")
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = daemon.Process.Signal(syscall.SIGTERM) // it may have died
		if err := daemon.Wait(); err != nil {
			t.Errorf("the daemon ended with %v", err)
		}
	})
	client := api.NewSocketClient(socket)
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), rest+30*time.Second)
	defer cancel()
	poll(ctx, t, "the daemon answers", func() bool { _, err := client.Version(ctx); return err == nil })
	job, err := client.Submit(ctx, api.Submission{Dir: state, Spec: nexus.Spec{
		Name: "one", Type: nexus.Training, Queue: nexus.DefaultQueue, Nodes: nexus.Range{Min: 1, Max: 1}, Workers: 1,
		Workdir: ".", Run: nexus.Command{Shell: "true"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	poll(ctx, t, "the job is over", func() bool { v, err := client.Job(ctx, job.ID); return err == nil && v.Phase.Over() })
	last := uint64(0) // the last words about the job
	poll(ctx, t, "the planner is at rest", func() bool {
		now := cycles(t, socket)
		same := now == last
		last = now
		return same
	})

	calls, used := cycles(t, socket), processorTime(t, daemon.Process.Pid)
	select {
	case <-time.After(rest): // not to wait for something: this minute is what is judged
	case <-ctx.Done():
	}
	used = processorTime(t, daemon.Process.Pid) - used
	t.Logf("in %v it used %v of processor time", rest, used)
	if more := cycles(t, socket) - calls; more != 0 {
		t.Errorf("the planner was asked %d times", more)
	}
	if used > 100*time.Millisecond {
		t.Errorf("it used %v of processor time", used)
	}
}

func poll(ctx context.Context, t *testing.T, what string, is func() bool) {
	t.Helper()
	for tick := time.NewTicker(200 * time.Millisecond); !is(); {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("never: %s", what)
		}
	}
}

// cycles is how often the planner was asked, as /metrics has it.
func cycles(t *testing.T, socket string) uint64 {
	t.Helper()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}}
	defer transport.CloseIdleConnections()
	answer, err := (&http.Client{Transport: transport}).Get("http://localhost/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^nexus_cycles_total (\d+)$`).FindSubmatch(text)
	if found == nil {
		t.Fatal("/metrics does not tell the cycles")
	}
	n, err := strconv.ParseUint(string(found[1]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// processorTime is what a process has used in user and kernel mode, in steps of 10 ms.
func processorTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, after, ok := strings.Cut(string(data), ") ")
	fields := strings.Fields(after)
	if !ok || len(fields) < 13 {
		t.Fatalf("/proc/%d/stat is %q", pid, data)
	}
	user, err1 := strconv.Atoi(fields[11])
	kernel, err2 := strconv.Atoi(fields[12])
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	return time.Duration(user+kernel) * 10 * time.Millisecond
}
