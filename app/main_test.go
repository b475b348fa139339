package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ainexus.io/api"
	"ainexus.io/launch/elastic"
	"ainexus.io/nexus"
	"ainexus.io/proc"
)

// TestMain is also the daemon, the agent and the keeper of these tests: processes of their own, from this binary.
func TestMain(m *testing.M) {
	switch role := os.Getenv("APP_TEST_ROLE"); {
	case len(os.Args) == 4 && os.Args[1] == "keeper":
		_ = proc.Keep(os.Args[2], os.Args[3], os.NewFile(proc.KeeperPipe, "pipe"))
		syscall.Kill(os.Getpid(), syscall.SIGKILL) // an exit takes the race detector a second, and a keeper gets no settings
	case role == "agent":
		exit(RunAgent(context.Background(), os.Args[len(os.Args)-1], AgentOptions{
			Keeper: []string{os.Args[0], "keeper"}, Environ: os.Environ(), Backoff: elastic.Backoff{First: 50 * time.Millisecond, Cap: 200 * time.Millisecond}, Clock: shifted(os.Getenv("APP_TEST_SHIFT")),
			Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
		}))
	case role == "daemon":
		exit(testDaemon())
	default:
		os.Exit(m.Run())
	}
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// shifted is a clock whose wall is off by a duration.
func shifted(by string) proc.Clock {
	clock := proc.SystemClock()
	if d, err := time.ParseDuration(by); err == nil {
		clock.Wall = func() time.Time { return time.Now().Add(d) }
	}
	return clock
}

// testDaemon runs as a process of its own, until TERM or KILL.
func testDaemon() error {
	opts := testOptions(os.Getenv("APP_TEST_STATE"))
	opts.Clock, opts.CPUs = shifted(os.Getenv("APP_TEST_SHIFT")), 2
	opts.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	d, err := NewDaemon(opts)
	if err != nil {
		return err
	}
	d.Start()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	<-ctx.Done()
	return d.Stop()
}

func testOptions(state string) Options {
	return Options{
		State: state, Agent: []string{os.Args[0]}, AgentEnv: []string{"APP_TEST_ROLE=agent", "GORACE=atexit_sleep_ms=0"},
		NoGPUs: true, NoLimits: true, Listen: noListen, Backoff: 20 * time.Millisecond, Clock: proc.SystemClock(),
	}
}

func startDaemon(t *testing.T, opts Options) *Daemon {
	t.Helper()
	d, err := NewDaemon(opts)
	if err != nil {
		t.Fatal(err)
	}
	d.Start()
	t.Cleanup(func() {
		if err := d.Stop(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// endJobs leaves no agent behind.
func endJobs(t *testing.T, d *Daemon) {
	for deadline := time.Now().Add(20 * time.Second); !d.place.Idle(); time.Sleep(5 * time.Millisecond) {
		for _, job := range d.place.Live() {
			_, _ = d.place.Cancel(context.Background(), job.ID) // it may be over by now
		}
		if time.Now().After(deadline) {
			t.Errorf("jobs do not end: %+v", d.place.Live())
			return
		}
	}
}

// client speaks to the daemon of a state directory as everybody does.
func client(state string) *http.Client {
	return &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", filepath.Join(state, SocketName))
		},
	}}
}

func jobSpec(run string) nexus.Spec {
	return nexus.Spec{
		Name: "story", Type: nexus.Training, Queue: nexus.DefaultQueue, Nodes: nexus.Range{Min: 1, Max: 1}, Workers: 1, Workdir: ".",
		Resources: nexus.Resources{CPU: 100}, Run: nexus.Command{Shell: run},
		Restart: nexus.Restart{On: []nexus.Cause{nexus.CauseExit, nexus.CauseHang, nexus.CauseNode, nexus.CausePreempt}},
	}
}

func submission(dir string, spec nexus.Spec) api.Submission {
	return api.Submission{Spec: spec, Dir: dir, User: "ada", Env: map[string]string{"PATH": "/usr/bin:/bin"}}
}

func await(t *testing.T, jobs api.Jobs, ref, what string, is func(api.JobView) bool) api.JobView {
	t.Helper()
	var last api.JobView
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		v, err := jobs.Job(t.Context(), ref)
		if err == nil && is(v) {
			return v
		}
		last = v
		time.Sleep(5 * time.Millisecond)
	}
	text, _ := json.Marshal(last)
	t.Fatalf("job %s is never %s: %s", ref, what, text)
	return last
}

func awaitPhase(t *testing.T, jobs api.Jobs, ref string, phase nexus.Phase) api.JobView {
	t.Helper()
	return await(t, jobs, ref, string(phase), func(v api.JobView) bool { return v.Phase == phase })
}

// ask sends one request over the socket.
func ask(t *testing.T, state, method, path, body string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, "http://localhost"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := client(state).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}
