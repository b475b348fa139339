package app

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ainexus.io/api"
	"ainexus.io/attempt"
	"ainexus.io/nexus"
)

var (
	torturePoints = flag.Int("torture.points", 25, "how many processes the torture kills")
	tortureSeed   = flag.Uint64("torture.seed", 0, "seed of the torture; 0: a new one")
)

// TestTorture kills the daemon, agents, keepers and workers at random moments with SIGKILL, while jobs are submitted
// and cancelled. Then everything is let come to its end, and the checker (torture_check_test.go) compares the records, the attempt
// directories and what the workers wrote themselves with the promises.
func TestTorture(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("flock"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("the workers of the torture need the flock program (util-linux)")
		}
		t.Skip("the workers of the torture need the flock program (util-linux)")
	}
	seed := *tortureSeed
	if seed == 0 {
		seed = rand.Uint64N(1 << 32)
	}
	t.Logf("seed: %d (go test ./app -run TestTorture -torture.points=%d -torture.seed=%d)", seed, *torturePoints, seed)
	r := newRack(t, seed)
	defer r.clear()
	began := time.Now()

	r.startDaemon()
	ctx, cancel := context.WithCancel(t.Context())
	var working sync.WaitGroup
	working.Go(func() { r.submitAll(ctx) })
	for r.points() < *torturePoints && !t.Failed() {
		r.killOne()
		pause(t.Context(), time.Duration(20+r.dice(160))*time.Millisecond)
	}
	cancel()
	working.Wait()
	t.Logf("%d points in %s: %v; %d jobs acknowledged", r.points(), time.Since(began).Round(time.Millisecond), r.killed, len(r.jobs))

	for _, kind := range []string{"daemon", "agent", "keeper", "worker"} {
		if *torturePoints >= 100 && r.killed[kind] == 0 {
			t.Errorf("no %s was killed: the torture does not do what it says", kind)
		}
	}
	r.settle()
	r.check()
}

// An agent that is stopped for long, as by a debugger or a machine that has no time for it, and goes on then: nothing
// follows from it but a word to the user. With as many points as a full torture has, long is a minute.
func TestTortureByStopping(t *testing.T) {
	t.Parallel()
	long := 2 * time.Second
	opts := testOptions(t.TempDir())
	opts.Silence = time.Second
	if *torturePoints >= 200 {
		long, opts.Silence = time.Minute, 0
	}
	d := startDaemon(t, opts)
	dir := t.TempDir()
	spec := jobSpec("while ! test -e enough; do sleep 0.05; done")
	spec.NoProgress, spec.Restart.Max = nexus.Duration(time.Second), 3
	job, err := d.place.Submit(t.Context(), submission(dir, spec))
	if err != nil {
		t.Fatal(err)
	}
	awaitPhase(t, d.place, job.ID, nexus.Running)
	agent, err := attempt.At(filepath.Join(opts.State, "attempts"), job.ID, 1).Agent()
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(agent.PID, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	events, err := d.place.Events(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	pause(t.Context(), long)
	for e := range events {
		if e.Kind == nexus.EventNote && strings.Contains(e.Message, "stopped?") {
			break
		}
	}
	if v, err := d.place.Job(t.Context(), job.ID); err != nil || v.Phase != nexus.Running || v.Attempt != 1 {
		t.Errorf("while its agent is stopped it is %s in attempt %d, %v", v.Phase, v.Attempt, err)
	}
	if err := errors.Join(syscall.Kill(agent.PID, syscall.SIGCONT), os.WriteFile(filepath.Join(dir, "enough"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if v := awaitPhase(t, d.place, job.ID, nexus.Succeeded); v.Attempt != 1 || v.RestartsUsed != 0 {
		t.Errorf("it took %d attempts and %d restarts", v.Attempt, v.RestartsUsed)
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// rack is what the torture works on.
type rack struct {
	t      *testing.T
	state  string
	work   string // where jobs run and leave their log
	log    string
	client *api.Client

	mu      sync.Mutex
	random  *rand.Rand
	daemon  *exec.Cmd
	up      chan struct{} // closed when the daemon of the moment was reaped
	killed  map[string]int
	victims map[int]string // pid -> kind, of whom we killed
	agents  map[string]int // attempt -> how often we killed its agent
	workers map[string]int // attempt -> how often we killed a worker of it
	jobs    map[string]*torment

	preempted int // attempts that yielded, as the checker counts
}

// torment is a job that was acknowledged.
type torment struct {
	id, key   string
	kind      string
	spec      nexus.Spec
	cancelled bool // a cancel was sent, whether or not it was answered
}

func newRack(t *testing.T, seed uint64) *rack {
	r := &rack{t: t, state: t.TempDir(), work: t.TempDir(), random: rand.New(rand.NewPCG(seed, 1)), killed: map[string]int{},
		victims: map[int]string{}, agents: map[string]int{}, workers: map[string]int{}, jobs: map[string]*torment{}}
	r.log = filepath.Join(r.work, "workers.log")
	r.client = api.NewSocketClient(filepath.Join(r.state, SocketName))
	return r
}

func (r *rack) dice(n int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.random.IntN(n)
}

func (r *rack) points() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, times := range r.killed {
		n += times
	}
	return n
}

// startDaemon starts a daemon as a process of its own. Nobody waits until it answers.
func (r *rack) startDaemon() {
	out, err := os.OpenFile(filepath.Join(r.work, "daemon.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		r.t.Fatal(err)
	}
	defer out.Close()
	c := exec.Command(os.Args[0])
	c.Env = []string{"APP_TEST_ROLE=daemon", "APP_TEST_STATE=" + r.state, "GORACE=atexit_sleep_ms=0 halt_on_error=0 exitcode=66"}
	c.Stdout, c.Stderr = out, out
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := c.Start(); err != nil {
		r.t.Fatal(err)
	}
	up := make(chan struct{})
	go func() { defer close(up); _ = c.Wait() }()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.daemon, r.up = c, up
}

// submitAll submits and cancels until ctx ends, keeping a handful of jobs alive.
func (r *rack) submitAll(ctx context.Context) {
	var cancelling sync.WaitGroup
	defer cancelling.Wait()
	for n := 0; ctx.Err() == nil; n++ {
		for r.alive(ctx) >= 7 && ctx.Err() == nil {
			pause(ctx, 40*time.Millisecond)
		}
		job := r.next(n)
		if !r.submit(ctx, job) {
			return
		}
		if job.kind == "cancelled" {
			wait := time.Duration(r.dice(700)) * time.Millisecond
			cancelling.Go(func() {
				pause(ctx, wait)
				r.cancel(job)
			})
		}
	}
}

// alive counts the jobs that are not over; 0 where nobody answers.
func (r *rack) alive(ctx context.Context) int {
	jobs, err := r.client.List(ctx, api.Filter{Live: true})
	if err != nil {
		return 0
	}
	return len(jobs)
}

// submit repeats until somebody acknowledges. The key makes that one job.
func (r *rack) submit(ctx context.Context, job *torment) bool {
	for range 2000 {
		// Not bound to ctx: a submit under way must not be forgotten by the checker.
		one, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		got, err := r.client.Submit(one, api.Submission{Spec: job.spec, Dir: r.work, Key: job.key,
			Env: map[string]string{"PATH": "/usr/bin:/bin"}})
		cancel()
		if err == nil {
			r.mu.Lock()
			job.id = got.ID
			r.jobs[got.ID] = job
			r.mu.Unlock()
			return true
		}
		var refused *nexus.Error
		if errors.As(err, &refused) && refused.Code != nexus.CodeUnavailable && refused.Code != nexus.CodeInternal {
			r.t.Errorf("a submit was refused: %v (%s)", err, refused.Hint)
			return false
		}
		pause(context.Background(), 10*time.Millisecond)
	}
	r.t.Error("nobody takes submits any more")
	return false
}

func (r *rack) cancel(job *torment) {
	r.mu.Lock()
	job.cancelled = true
	r.mu.Unlock()
	for range 50 {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		_, err := r.client.Cancel(ctx, job.id)
		cancel()
		var refused *nexus.Error
		if err == nil || errors.As(err, &refused) && refused.Code == nexus.CodeConflict {
			return
		}
		pause(context.Background(), 20*time.Millisecond)
	}
}

// worker is what every worker runs. It holds a lock for as long as anything of it lives, children included, and says
// when it begins and when it has done its work.
const worker = `say() { echo "$1 $NEXUS_ATTEMPT $NEXUS_ROUND $RANK $$" >> workers.log; }
exec 9>> "lock.$NEXUS_JOB.$RANK"
flock -n -E 77 9 || { test $? -ne 77 || say overlap; }
say start
%s
say end`

// next makes up a job.
func (r *rack) next(n int) *torment {
	kinds := []string{"quick", "quick", "long", "gang", "children", "fails", "flaky", "cancelled", "urgent"}
	job := &torment{key: fmt.Sprintf("job-%04d", n), kind: kinds[r.dice(len(kinds))]}
	spec := jobSpec("")
	spec.Name, spec.NoProgress = job.key, nexus.Duration(15*time.Minute)
	spec.Checkpoint = &nexus.CheckpointSpec{Path: "ckpt", Grace: nexus.Duration(300 * time.Millisecond)}
	body := ""
	switch job.kind {
	case "quick":
		body = fmt.Sprintf("sleep 0.%02d", r.dice(40))
	case "long":
		body = fmt.Sprintf("sleep %d.%d", 1+r.dice(2), r.dice(10))
		spec.Restart.Max = r.dice(3)
	case "gang":
		spec.Workers = 2 + r.dice(2)
		spec.Restart.Max = 1
		body = fmt.Sprintf("sleep 0.%d", 2+r.dice(8))
	case "children": // as a data loader has them, and one that leaves the session
		body = "sleep 600 & setsid sh -c 'sleep 600; true' & sleep 0.5"
	case "fails":
		spec.Restart.Max = r.dice(4)
		body = "sleep 0.05; exit 3"
	case "flaky":
		spec.Restart.Max = 2
		body = `[ "$NEXUS_ROUND" -ge 1 ] || exit 4`
	case "urgent": // takes the seats of others
		spec.Priority, spec.Resources.CPU = nexus.High, 1700
		body = fmt.Sprintf("sleep 0.%d", 1+r.dice(3))
	case "cancelled":
		body = "trap 'exit 0' TERM; sleep 30 & wait"
	}
	spec.Run = nexus.Command{Shell: fmt.Sprintf(worker, body)}
	job.spec = spec
	return job
}

// killOne kills one process of a kind that is chosen first, so that the many workers do not save the one daemon.
func (r *rack) killOne() {
	roll := r.dice(100)
	switch {
	case roll < 25:
		r.killDaemon()
	case roll < 50:
		r.killAgent()
	case roll < 56:
		r.killPair()
	case roll < 68:
		r.killAny("keeper", func(p process) bool { return p.keeper })
	default:
		r.killAny("worker", func(p process) bool { return p.worker })
	}
}

// killDaemon kills the daemon, leaves everything alone for a while and starts another.
func (r *rack) killDaemon() {
	r.mu.Lock()
	daemon, up := r.daemon, r.up
	r.mu.Unlock()
	select {
	case <-up:
		text, _ := os.ReadFile(filepath.Join(r.work, "daemon.log"))
		r.t.Errorf("the daemon ended by itself:\n%s", tail(string(text), 30))
		return
	default:
	}
	_ = daemon.Process.Kill()
	<-up
	r.count("daemon", daemon.Process.Pid)
	pause(r.t.Context(), time.Duration(r.dice(150))*time.Millisecond)
	r.startDaemon()
}

func (r *rack) killAgent() {
	r.killAny("agent", func(p process) bool { return p.agent })
}

// killPair kills a keeper and its agent at once: only the daemon is left to end their processes.
func (r *rack) killPair() {
	all := r.processes()
	for _, keeper := range all {
		for _, agent := range all {
			if !keeper.keeper || !agent.agent || keeper.attempt != agent.attempt {
				continue
			}
			r.mu.Lock()
			r.agents[agent.attempt]++
			r.mu.Unlock()
			if syscall.Kill(keeper.pid, syscall.SIGKILL) == nil {
				r.count("keeper", keeper.pid)
			}
			if syscall.Kill(agent.pid, syscall.SIGKILL) == nil {
				r.count("agent", agent.pid)
			}
			return
		}
	}
}

// killAny kills one of the processes of our attempts.
func (r *rack) killAny(kind string, is func(process) bool) {
	var found []process
	for _, p := range r.processes() {
		if is(p) {
			found = append(found, p)
		}
	}
	if len(found) == 0 {
		return
	}
	victim := found[r.dice(len(found))]
	// Said before it is done: what follows from it may be seen at once.
	r.mu.Lock()
	switch {
	case victim.agent:
		r.agents[victim.attempt]++
	case victim.worker:
		r.workers[victim.attempt]++
	}
	r.mu.Unlock()
	if err := syscall.Kill(victim.pid, syscall.SIGKILL); err == nil {
		r.count(kind, victim.pid)
	}
}

func (r *rack) count(kind string, pid int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.killed[kind]++
	r.victims[pid] = kind
}

// settle lets everything come to its end.
func (r *rack) settle() {
	deadline := time.Now().Add(60 * time.Second)
	for {
		jobs, err := r.client.List(r.t.Context(), api.Filter{Live: true})
		if err == nil && len(jobs) == 0 {
			return
		}
		if time.Now().After(deadline) {
			for _, j := range jobs {
				r.t.Errorf("job %s (%s) never ends: %s attempt %d, status %+v", j.ID, r.kindOf(j.ID), j.Phase, j.Attempt, j.Status)
			}
			r.t.Fatalf("the jobs never end; listing them: %v", err)
		}
		pause(r.t.Context(), 50*time.Millisecond)
	}
}

func (r *rack) kindOf(id string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if job := r.jobs[id]; job != nil {
		return job.kind
	}
	return "?"
}

// clear ends what is left, also where the test failed.
func (r *rack) clear() {
	r.mu.Lock()
	daemon, up := r.daemon, r.up
	r.mu.Unlock()
	_ = daemon.Process.Kill()
	<-up
	for _, p := range r.processes() {
		_ = syscall.Kill(p.pid, syscall.SIGKILL)
	}
}

func tail(text string, lines int) string {
	all := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
