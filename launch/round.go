package launch

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"

	"ainexus.io/c10d"
	"ainexus.io/launch/elastic"
	"ainexus.io/nexus"
	"ainexus.io/proc"
)

// ending is how a round, setup or a pause ended.
type ending struct {
	ok      bool
	cause   nexus.Cause
	rank    int
	exit    int
	message string
	outOf   nexus.OutOf
	tail    []string
	lasted  time.Duration
	ack     *nexus.Ack
	lost    int64 // seconds of work; -1 unknown

	told  bool             // it ended because the meeting said so
	fault *nexus.Fault     // where a worker is to blame
	proof elastic.Evidence // that it is the root cause
	at    time.Time        // when it failed
}

// place is what a round gives this node.
type place struct {
	group, groups int // group rank, number of nodes
	first, world  int // rank of the first worker here, number of workers
	addr          string
	port          int
	device        string         // network interface of the other nodes' way here; empty: one node
	hosts         map[string]int // how many workers there are, by the address of their node; nil: one node
}

// store is the host:port of the round's store.
func (p place) store() string { return net.JoinHostPort(p.addr, strconv.Itoa(p.port)) }

// round is the workers of one round.
type round struct {
	number  int
	began   time.Duration // Mono
	beganAt time.Time     // to compare with the workers' ends
	workers []*proc.Process
	program program
	outputs outputs
	watch   *watch
	// pace compares the ranks of the only node; together those of several, and is nil where there is one.
	pace     elastic.Pace
	together *together
	looks    int             // at how they keep up
	suspects []nexus.Suspect // that are told
	oomAt    int             // the cgroup's count when the round began
	exits    chan int
	surplus  surplus
	refused  string // why there is no going on with these workers

	told     bool          // the meeting ends it
	asked    time.Time     // when the workers were told to end; zero: they were not
	deadline time.Duration // Mono, of the kill; where asked
	deaf     int           // workers that had to be killed then
	stop     *stopRequest  // where somebody asked
	hang     string        // the verdict of the hang watch
	hangRank int           // global; -1: none
	// hangStack is where the rank to blame was, as text; nil where it did not say.
	hangStack []string
}

// round runs one round from an empty store to the last worker's end.
func (a *agent) round(ctx context.Context, number int) ending {
	r := &round{number: number, began: a.clock.Mono(), beganAt: time.Now(), oomAt: a.oomCount(), hangRank: -1}
	if err := a.openRound(r); err != nil {
		a.endAll()
		r.outputs.started()
		r.outputs.close()
		return ending{cause: nexus.CauseSetup, rank: -1, exit: 127, message: words(err), lost: 0}
	}
	a.supervise(ctx, r)
	r.together.stop()
	a.endAll()
	r.outputs.close()
	e := a.judge(r)
	e.lasted = a.clock.Mono() - r.began
	return e
}

// openRound starts the workers.
func (a *agent) openRound(r *round) (err error) {
	if a.meeting == nil {
		if err := a.alone(); err != nil {
			return err
		}
	}
	if err := checkDir(a.order.Workdir); err != nil {
		return err
	}
	if r.program, err = resolve(a.order.Spec.Run, a.order.Workdir, a.env); err != nil {
		return err
	}
	if err := os.MkdirAll(a.dir.LogDir(r.number), 0o700); err != nil {
		return fmt.Errorf("making a place for logs: %w", err)
	}
	cpus, threads, err := a.bindings()
	if err != nil {
		return err
	}
	facts := roundFacts{
		number: r.number, role: a.role, runID: a.runID, dir: a.dir, place: a.place, threads: threads,
		errorFile: func(rank int) string { return a.errorFile(r.number, rank) },
		nccl:      ncclSettings(os.DirFS("/"), a.env, a.place.device),
	}
	commands := make([]proc.Command, a.order.Seat.Workers)
	for rank := range commands {
		out, errs, err := r.outputs.open(a, r.number, rank)
		if err != nil {
			return err
		}
		if a.logDir != "" {
			if err := os.MkdirAll(a.rankDir(r.number, rank), 0o700); err != nil {
				return fmt.Errorf("making a place for logs: %w", err)
			}
		}
		os.Remove(a.errorFile(r.number, rank)) // of an earlier run of this id, whose words are not this one's
		commands[rank] = proc.Command{
			Path: r.program.path, Argv: r.program.argv, Dir: a.order.Workdir, Stdout: out, Stderr: errs,
			Env: workerEnv(a.order, a.env, facts, rank), CPUs: cpus[rank],
		}
	}
	r.watch = newWatch(a.dir, a.place.first, len(commands), time.Duration(a.order.Spec.NoProgress))
	if r.workers, err = a.group.Start(commands...); err != nil {
		return explainStart(err, r.program)
	}
	r.outputs.started()
	r.exits = make(chan int, len(r.workers))
	for i, p := range r.workers {
		go func() {
			<-p.Done()
			r.exits <- i
		}()
	}
	if a.place.groups > 1 {
		r.together = compareNodes(a.place, r.number)
	}
	a.show(r, nexus.AgentRunning)
	return nil
}

// bindings are the CPUs of each worker, nil for all, and where it is bound how many threads it is to compute with.
func (a *agent) bindings() (sets [][]int, threads []int, err error) {
	if a.binding == bindNothing {
		return make([][]int, a.order.Seat.Workers), nil, nil
	}
	value, set := a.env["CUDA_VISIBLE_DEVICES"]
	return a.binding.of(a.order.Seat, value, set)
}

// alone makes the round that of the only node.
func (a *agent) alone() error {
	if err := a.emptyStore(); err != nil {
		return err
	}
	a.place = place{groups: 1, world: a.order.Seat.Workers, addr: a.master.addr, port: a.store.Addr().(*net.TCPAddr).Port}
	return nil
}

// emptyStore gives the round a key-value store without a key.
func (a *agent) emptyStore() error {
	if a.store != nil {
		a.store.Reset()
		return nil
	}
	if a.master.addr == "" {
		a.master.addr = "127.0.0.1"
	}
	port := a.master.port
	if port == 0 {
		port = 29500
	}
	listen := func(port int) (err error) {
		a.store, err = c10d.Listen(net.JoinHostPort(a.master.addr, strconv.Itoa(port)), c10d.ServerOptions{Limits: a.storeLimits, OwnThread: true, Logger: a.log})
		return err
	}
	err := listen(port)
	if err != nil && a.master.port == 0 {
		err = listen(0)
	}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return sentence(fmt.Sprintf("port %d is in use", port), "leave the port out to get a free one, or name another")
	case err != nil:
		return sentence(fmt.Sprintf("the key-value store cannot listen on %s: %v", a.master.addr, err), "the address must be one of this machine")
	}
	return nil
}

// show writes the workers into the status.
func (a *agent) show(r *round, state nexus.AgentState) {
	a.board.set(func(s *nexus.Status) {
		s.State, s.Round, s.Suspects, s.Master = state, r.number, r.suspects, a.place.store()
		s.Workers = make([]nexus.WorkerStatus, len(r.workers))
		for rank, p := range r.workers {
			w := nexus.WorkerStatus{Rank: a.place.first + rank, LocalRank: rank, PID: p.PID}
			if !p.Running() {
				if e := p.Exit(); e.Signal != 0 {
					w.Signal = signalName(e.Signal)
				} else {
					w.Exit = &e.Code
				}
			}
			s.Workers[rank] = w
		}
	})
}
