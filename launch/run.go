package launch

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"ainexus.io/attempt"
	"ainexus.io/launch/elastic"
	"ainexus.io/nexus"
	"ainexus.io/proc"
)

// Run launches the workers of a bare `nexus launch` on this machine and returns when none of their processes is left.
// The result tells how it went; an error means that nothing was started.
func Run(ctx context.Context, opts Options) (nexus.Result, error) {
	a, err := opts.agent()
	if err != nil {
		return nexus.Result{}, err
	}
	temp, err := os.MkdirTemp("", "nexus-launch-")
	if err != nil {
		return nexus.Result{}, fmt.Errorf("making a directory for the workers' words: %w", err)
	}
	defer os.RemoveAll(temp)
	a.dir = attempt.Dir(temp)
	for _, sub := range []string{"progress", "logs/0"} {
		if err := os.MkdirAll(temp+"/"+sub, 0o700); err != nil {
			return nexus.Result{}, err
		}
	}
	defer func() { a.screen.close() }()
	if opts.Stderr != nil {
		a.screen.err = proc.NewLive(opts.Stderr, opts.Terminal, nil)
	}
	if opts.Stdout != nil {
		a.screen.out = proc.NewLive(opts.Stdout, opts.Terminal, func() {
			a.say("whoever reads our output has taken nothing for ten seconds; the workers wait for it (--redirects 3 needs no reader)")
		})
	}
	return a.runWith(ctx, opts)
}

// runWith listens to signals while the attempt runs.
func (a *agent) runWith(ctx context.Context, opts Options) (nexus.Result, error) {
	listening, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	a.stops, a.forward = make(chan stopRequest, 16), make(chan syscall.Signal, 16)
	go func() {
		defer close(done)
		signalWatch(listening, opts.Signals, a.signalled, a.grace, a.tellStop, func(s syscall.Signal) {
			select {
			case a.forward <- s:
			default:
			}
		})
	}()
	defer func() { cancel(); <-done }()
	return a.run(ctx)
}

// agent fills in what the options leave open and writes the order that they amount to.
func (o Options) agent() (*agent, error) {
	if o.Command.IsZero() {
		return nil, &nexus.Error{Code: nexus.CodeInvalid, Message: "there is no program to launch", Hint: "nexus launch --nproc-per-node 4 train.py"}
	}
	if o.LogDir != "" && !strings.HasPrefix(o.LogDir, "/") {
		return nil, errors.New("the log directory is not absolute")
	}
	a := &agent{
		bare: true, signalled: nexus.CauseCancel, role: o.Role, logDir: o.LogDir, redirects: o.Redirects, tee: o.Tee, logSize: o.LogSize, logFiles: o.LogFiles, shown: o.Show, linePrefix: o.Prefix, binding: o.Binding, storeLimits: o.Store, keeper: o.Keeper,
		clock: o.Clock.OrSystem(), backoff: o.Backoff, grace: o.Grace, look: o.Look, log: o.Logger,
	}
	a.master.addr, a.master.port = o.MasterAddr, o.MasterPort
	if a.meet = o.Meet; a.meet.Endpoint != "" {
		a.master.addr = "" // the meeting says where each round's store is
	}
	if a.role == "" {
		a.role = "default"
	}
	if a.backoff == (elastic.Backoff{}) {
		a.backoff = elastic.Backoff{First: 100 * time.Millisecond, Cap: 30 * time.Second, Free: 1}
	}
	if a.grace == 0 {
		a.grace = defaultGrace
	}
	// Random whatever RunID says: two launches may be given the same one, and each kills only its own.
	job := "launch-" + strings.ToLower(rand.Text()[:12])
	a.runID = o.RunID
	if a.runID == "" {
		a.runID = job
		if o.Meet.Endpoint != "" {
			a.runID = "none" // as torchrun has it: all nodes have to name the same one
		}
	}
	env := map[string]string{}
	for _, line := range o.Env {
		if key, value, ok := strings.Cut(line, "="); ok && key != "" && key != EnvOrder && key != EnvResult {
			env[key] = value
		}
	}
	a.order = nexus.Order{
		Job: job, Attempt: 1, Workdir: o.Dir, Env: env, RestartsLeft: o.MaxRestarts,
		Seat: nexus.Seat{Node: o.Node, Workers: max(1, o.Workers), CPU: nexus.CPU(o.CPUs) * 1000},
		Spec: nexus.Spec{
			Run: o.Command, Workers: max(1, o.Workers), NoProgress: nexus.Duration(o.NoProgress),
			Restart: nexus.Restart{Max: o.MaxRestarts, On: []nexus.Cause{nexus.CauseExit, nexus.CauseHang}},
		},
	}
	if o.Order != nil {
		a.ordered(o)
	}
	return a, nil
}
