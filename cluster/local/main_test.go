package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"ainexus.io/api"
	"ainexus.io/attempt"
	"ainexus.io/nexus"
	"ainexus.io/proc"
	"ainexus.io/sched"
	"ainexus.io/sched/policy"
)

// TestMain is also the agent and the daemon of these tests: processes of their own, from this very binary.
func TestMain(m *testing.M) {
	switch os.Getenv("LOCAL_TEST_ROLE") {
	case "agent":
		if err := smallAgent(os.Args[len(os.Args)-1]); err != nil {
			fmt.Fprintln(os.Stderr, "agent:", err)
			os.Exit(1)
		}
	case "daemon":
		if err := smallDaemon(os.Getenv("LOCAL_TEST_STATE")); err != nil {
			fmt.Fprintln(os.Stderr, "daemon:", err)
			os.Exit(1)
		}
	default:
		os.Exit(m.Run())
	}
}

// smallAgent keeps the agent's side of the attempt directory for one worker and one round: enough to see what the
// place does. The real one is tested with the daemon, in app.
func smallAgent(path string) error {
	dir := attempt.Dir(path)
	order, err := dir.Order()
	if err != nil {
		return err
	}
	lock, err := dir.Lock()
	if err != nil {
		return err
	}
	defer lock.Close()
	self, err := proc.Identify(os.Getpid())
	if err != nil {
		return err
	}
	if err := dir.WriteAgent(nexus.Agent{Boot: self.Boot, PID: self.PID, Start: self.Start}); err != nil {
		return err
	}
	if err := dir.WriteRounds(nexus.Rounds{RestartsLeft: order.RestartsLeft, Rounds: []nexus.Round{{Began: time.Now()}}}); err != nil {
		return err
	}
	if err := os.MkdirAll(dir.LogDir(0), 0o700); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(dir.LogDir(0), "0.log"))
	if err != nil {
		return err
	}
	c := exec.Command("/bin/sh", "-ec", order.Spec.Run.Shell)
	c.Dir, c.Stdout, c.Stderr = order.Workdir, log, log
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	c.Env = []string{proc.EnvAttempt + "=" + attempt.Name(order.Job, order.Attempt), "PATH=" + order.Env["PATH"]}
	for name, value := range order.Spec.Env {
		if secret, ok := strings.CutPrefix(value.From, "env:"); ok {
			value.Value = os.Getenv("NEXUS_SECRET_" + secret)
		}
		c.Env = append(c.Env, name+"="+value.Value)
	}
	if err := c.Start(); err != nil {
		return err
	}
	status := func() error {
		return dir.WriteStatus(nexus.Status{State: nexus.AgentRunning, Renewed: time.Now(),
			Workers: []nexus.WorkerStatus{{PID: c.Process.Pid}}})
	}
	if err := status(); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- c.Wait() }()
	result := nexus.Result{Attempt: order.Attempt, Rank: -1, LostSeconds: -1}
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		select {
		case err := <-done:
			result.Ended = time.Now()
			if result.Cause == "" {
				result.OK = err == nil
				if err != nil {
					result.Cause, result.Rank, result.Exit, result.Message = nexus.CauseExit, 0, c.ProcessState.ExitCode(), "rank 0: "+err.Error()
					if result.Exit == 99 {
						result.Cause, result.OutOf = nexus.CauseOOM, nexus.OutOfMemory
					}
				}
			}
			return dir.WriteResult(result)
		case <-tick.C:
			if stop, err := dir.Stop(); err == nil && result.Cause == "" {
				result.Cause, result.Message = nexus.Cause(stop.Kind), "stopped"
				syscall.Kill(-c.Process.Pid, syscall.SIGTERM)
			}
		}
	}
}

// planner plays the engine.
func planner(ctx context.Context, p *Place) {
	steps := sched.New(policy.Default())
	var wake time.Time
	for ctx.Err() == nil {
		delta, err := p.Changes(ctx, wake)
		if err != nil {
			return
		}
		plan := steps.Step(delta, p.Now())
		wake = plan.Wake
		if err := p.Apply(ctx, plan); err != nil && ctx.Err() == nil {
			for _, d := range plan.Place {
				steps.Drop(d.Job)
			}
			rest(ctx, 50*time.Millisecond)
		}
	}
}

func testOptions(state string) Options {
	return Options{State: state, Agent: []string{os.Args[0]}, AgentEnv: []string{"LOCAL_TEST_ROLE=agent", "GORACE=atexit_sleep_ms=0"}, NoLimits: true,
		Backoff: 10 * time.Millisecond, Clock: proc.SystemClock()}
}

// smallDaemon is a place with a planner that takes submits from its standard input, a command a line, and says their
// ids once they are durable.
func smallDaemon(state string) error {
	opts := testOptions(state)
	opts.passed = func(step string) {
		if step == os.Getenv("LOCAL_TEST_DIE") {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	if limit, err := strconv.ParseUint(os.Getenv("LOCAL_TEST_FSIZE"), 10, 64); err == nil {
		signal.Ignore(syscall.SIGXFSZ)
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: limit, Max: limit}); err != nil {
			return err
		}
	}
	p, err := New(context.Background(), opts)
	if err != nil {
		return err
	}
	p.Start()
	go planner(context.Background(), p)
	fmt.Println("ready")
	for in := json.NewDecoder(os.Stdin); ; {
		var s api.Submission
		if err := in.Decode(&s); err != nil {
			return nil
		}
		job, err := p.Submit(context.Background(), s)
		if err != nil {
			return err
		}
		fmt.Println(job.ID)
		if s.Key == "cancel" {
			for p.Counts()[nexus.Running] == 0 {
				rest(context.Background(), time.Millisecond)
			}
			if _, err := p.Cancel(context.Background(), job.ID); err != nil {
				return err
			}
		}
	}
}

func start(t *testing.T, opts Options) *Place {
	t.Helper()
	p, err := New(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	p.Start()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); planner(ctx, p) }()
	t.Cleanup(func() {
		endJobs(t, p)
		cancel()
		<-done
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// endJobs leaves no agent behind.
func endJobs(t *testing.T, p *Place) {
	for deadline := time.Now().Add(20 * time.Second); !p.Idle(); time.Sleep(5 * time.Millisecond) {
		for _, r := range p.view.records() {
			if _, err := p.Cancel(context.Background(), r.Job.ID); err != nil && refusal(err).Code != nexus.CodeConflict {
				return // the place was stopped
			}
		}
		if time.Now().After(deadline) {
			t.Errorf("jobs do not end: %+v", p.view.records())
			return
		}
	}
}

func spec(run string) nexus.Spec {
	return nexus.Spec{
		Name: "story", Type: nexus.Training, Queue: "default", Nodes: nexus.Range{Min: 1, Max: 1}, Workers: 1, Workdir: ".",
		Resources: nexus.Resources{CPU: 100}, Run: nexus.Command{Shell: run},
		Restart: nexus.Restart{On: []nexus.Cause{nexus.CauseExit, nexus.CauseHang, nexus.CauseNode, nexus.CausePreempt}},
	}
}

func submission(t *testing.T, run string) api.Submission {
	return api.Submission{Spec: spec(run), Dir: t.TempDir(), User: "ada", Env: map[string]string{"PATH": os.Getenv("PATH")}}
}

func submit(t *testing.T, p *Place, run string) nexus.Job {
	t.Helper()
	job, err := p.Submit(t.Context(), submission(t, run))
	if err != nil {
		t.Fatal(err)
	}
	return job
}

// await polls until the job is as wanted.
func await(t *testing.T, p *Place, id, what string, is func(api.JobView) bool) api.JobView {
	t.Helper()
	var last api.JobView
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		v, err := p.Job(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if is(v) {
			return v
		}
		last = v
		time.Sleep(5 * time.Millisecond)
	}
	events, _ := p.store.Events(t.Context(), 0, 1000)
	for _, e := range events {
		if e.Job == id {
			t.Logf("%s attempt %d: %s", e.Kind, e.Attempt, e.Message)
		}
	}
	t.Fatalf("job %s is never %s; it is %s, result %+v", id, what, last.Phase, last.Result)
	return last
}

func awaitPhase(t *testing.T, p *Place, id string, phase nexus.Phase) api.JobView {
	t.Helper()
	return await(t, p, id, string(phase), func(v api.JobView) bool { return v.Phase == phase })
}

func refusal(err error) *nexus.Error {
	var e *nexus.Error
	if errors.As(err, &e) {
		return e
	}
	return &nexus.Error{Message: fmt.Sprint(err)}
}
