package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"ainexus.io/bench/machine"
	"ainexus.io/bench/program"
	"ainexus.io/bench/row"
	"ainexus.io/proc"
)

// nodeVerb makes this program a worker on a node that may be lost.
const nodeVerb = "node-worker"

// headStart is how much sooner the first agent is started. Waiting until it listens would have the second one come after the first one's
// last call where importing PyTorch takes long, and torchrun 2.6 does not take it in then.
const headStart = time.Second

// How long a launcher is watched: one that will notice in the end, and one that may never.
const (
	enough   = time.Minute
	patience = 15 * time.Second
)

// loss is one way of losing a node, and who is compared.
type loss struct {
	mode  string // of the workers
	lost  int    // which agent; 0: the one that came first, and serves
	wait  time.Duration
	turns int // ours
	peers int // how often each peer is watched in all: one that never notices need not be watched for long
}

// nodeLoss kills one of two agents and its worker, on one machine: the other one's kernel says at once that they are gone.
func nodeLoss() program.Figure {
	lines := func(what, unit string, must row.Must) []row.Line {
		return eachRelease(func(release string) row.Line {
			return row.Line{What: fmt.Sprintf("%s, against torchrun %s with last_call_timeout=5", what, release), Unit: unit, Must: must}
		})
	}
	sooner := row.AtMostTimes(">= 5x sooner, both", 0.2)
	const until = "node loss -> first line of the new round's workers, "
	busy := lines(until+"survivors in a collective; median", "ms", sooner)
	idle := lines(until+fmt.Sprintf("idle workers (watched for %v); median", patience), "ms", sooner)
	host := lines(fmt.Sprintf("loss of the store's host: the job goes on within %v", patience), "yes/no", row.AtLeast("job goes on", 1))
	return program.Figure{Name: "node loss", Lines: slices.Concat(busy, idle, host), Measure: func(ctx context.Context, b *program.Bench, report func(row.Row)) error {
		return errors.Join(
			loss{"busy", 1, enough, 5, 5}.measure(ctx, b, busy, row.Median, report),
			loss{"idle", 1, patience, 5, 2}.measure(ctx, b, idle, row.Median, report),
			loss{"busy", 0, patience, 2, 2}.measure(ctx, b, host, survived, report), // twice says it
		)
	}}
}

// watchedAtOnce is how many runs of each peer take place at the same time: nearly all of it is waiting.
const watchedAtOnce = 2

// measure takes turns: some of ours, then some of all peers.
func (l loss) measure(ctx context.Context, b *program.Bench, lines []row.Line, sum func([]float64) float64, report func(row.Row)) error {
	us, err := ours(ctx, b)
	if err != nil {
		return err
	}
	peers := rivals(ctx, b, lines, report)
	one := func(s side, name string) (float64, error) {
		took, err := l.once(ctx, b, s, fmt.Sprintf("%s-%d-%s", l.mode, l.lost, name))
		if err != nil {
			err = fmt.Errorf("%s, %s: %w", s.name, l.mode, err)
		}
		return float64(took) / 1e6, err
	}
	var our []float64
	turns, watched := b.Times(l.turns), b.Times(l.peers)
	for done := 0; done < turns || done < watched; done += watchedAtOnce {
		for i := done; i < min(done+watchedAtOnce, turns); i++ {
			ms, err := one(us, fmt.Sprint("ours-", i))
			if err != nil {
				return err
			}
			our = append(our, ms)
		}
		runs := max(0, min(watchedAtOnce, watched-done))
		times, wrong := make([]float64, runs*len(peers)), make([]error, runs*len(peers))
		atOnce(len(times), func(i int) error {
			times[i], wrong[i] = one(peers[i%len(peers)].side, fmt.Sprint("peer-", done, "-", i))
			return nil
		})
		failed := map[*rival]bool{}
		for i, p := range slices.Repeat(peers, runs) {
			if p.samples = append(p.samples, times[i]); wrong[i] != nil && !failed[p] {
				failed[p] = true
				report(p.line.Missing(wrong[i])) // its row; the other's may still be measured
			}
		}
		peers = slices.DeleteFunc(peers, func(p *rival) bool { return failed[p] })
	}
	for _, p := range peers {
		report(p.line.Against(sum(our), sum(p.samples)))
		b.Say("%s, agent %d lost: ours %.0f, %s %.0f ms", l.mode, l.lost, our, p.name, p.samples)
	}
	return nil
}

// survived is 1 where every run went on.
func survived(ms []float64) float64 {
	for _, t := range ms {
		if t >= float64(patience)/1e6 {
			return 0
		}
	}
	return 1
}

// once starts two agents, kills one with its worker, and returns how long it took until the survivor's worker of
// the next round began, or the time to wait where it did not, or the survivor ended.
func (l loss) once(ctx context.Context, b *program.Bench, s side, name string) (time.Duration, error) {
	own, err := b.Build(ctx, "node", "./bench/launch") // where a chroot has it, too
	if err != nil {
		return 0, err
	}
	port, err := machine.FreePort()
	if err != nil {
		return 0, err
	}
	endpoint := fmt.Sprintf("127.0.0.1:%d", port)
	dir := filepath.Join(b.Dir, "loss-"+name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return 0, err
	}
	args := s.with("--nnodes", "1:2", "--nproc_per_node", "1", "--max_restarts", "3", "--rdzv_backend", "c10d",
		"--rdzv_endpoint", endpoint, "--rdzv_id", "loss", "--rdzv_conf", "last_call_timeout=5", "--no_python", own, nodeVerb, dir, l.mode)
	var agents [2]*exec.Cmd
	var gone [2]chan struct{}
	for i := range agents {
		agents[i], gone[i] = exec.CommandContext(ctx, s.argv[0], args...), make(chan struct{})
		if err := agents[i].Start(); err != nil {
			return 0, err
		}
		go func() {
			defer close(gone[i])
			agents[i].Wait()
		}()
		defer func() {
			killTree(agents[i].Process.Pid)
			<-gone[i]
		}()
		if i == 0 { // the first is to serve
			select {
			case <-time.After(headStart):
			case <-ctx.Done():
				return 0, ctx.Err()
			}
		}
	}
	if _, err := sighting(ctx, dir, 2, 2, time.Time{}, time.Minute); err != nil {
		return 0, fmt.Errorf("the two never met: %w", err)
	}
	select {
	case <-time.After(2 * time.Second): // whatever they do first, they have done it
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	killed := time.Now()
	killTree(agents[l.lost].Process.Pid)
	watching, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		select {
		case <-gone[1-l.lost]: // an agent that has ended begins no round
			stop()
		case <-watching.Done():
		}
	}()
	at, err := sighting(watching, dir, 1, 1, killed, l.wait)
	if errors.Is(err, errUnseen) || err != nil && ctx.Err() == nil && watching.Err() != nil {
		return l.wait, nil
	}
	return at.Sub(killed), err
}

var errUnseen = errors.New("it was not seen")

// sighting waits until so many workers of a world of a size have noted that they began after a time, and returns when the
// last one did.
func sighting(ctx context.Context, dir string, world, workers int, after time.Time, within time.Duration) (last time.Time, err error) {
	for deadline := time.Now().Add(within); ; {
		found, err := filepath.Glob(filepath.Join(dir, fmt.Sprintf("began-%d-*", world)))
		if err != nil {
			return last, err
		}
		seen := 0
		for _, file := range found {
			ns, err := strconv.ParseInt(file[strings.LastIndexByte(file, '-')+1:], 10, 64)
			if err != nil {
				return last, err
			}
			if at := time.Unix(0, ns); at.After(after) {
				seen++
				if at.After(last) {
					last = at
				}
			}
		}
		if seen >= workers {
			return last, nil
		}
		if time.Now().After(deadline) {
			return last, errUnseen
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return last, ctx.Err()
		}
	}
}

// killTree is a node's death: the agent and all below it, at once.
func killTree(pid int) {
	tree := []int{pid}
	for i := 0; i < len(tree); i++ {
		tree = append(tree, proc.ChildrenOf(tree[i])...)
	}
	for _, pid := range tree {
		syscall.Kill(pid, syscall.SIGKILL)
	}
}

// nodeWorker notes that it begins: node-worker DIR busy|idle. Busy ones wait for one another as in a collective, and fail
// when the other is gone; idle ones do nothing.
func nodeWorker(args []string) error {
	now := time.Now().UnixNano()
	dir, mode, world, rank := args[0], args[1], os.Getenv("WORLD_SIZE"), os.Getenv("RANK")
	name := filepath.Join(dir, fmt.Sprintf("began-%s-%s-%d", world, rank, now))
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		return err
	}
	if mode == "idle" || world == "1" {
		time.Sleep(10 * time.Minute)
		return nil
	}
	conn, err := partner(filepath.Join(dir, "partner"), rank)
	if err != nil {
		return err
	}
	_, err = io.ReadFull(conn, make([]byte, 1))
	return fmt.Errorf("the other rank is gone: %w", err)
}

// partner joins two ranks: rank 0 leaves its address in a file.
func partner(file, rank string) (net.Conn, error) {
	if rank == "0" {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(file+".new", []byte(l.Addr().String()), 0o600); err != nil {
			return nil, err
		}
		if err := os.Rename(file+".new", file); err != nil {
			return nil, err
		}
		return l.Accept()
	}
	for {
		if addr, err := os.ReadFile(file); err == nil {
			return net.Dial("tcp", string(addr))
		}
		time.Sleep(10 * time.Millisecond)
	}
}
