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

// How long a launcher is watched: one that will notice in the end, and one that may never.
const (
	enough   = time.Minute
	patience = 15 * time.Second
)

// nodeLoss kills one of two agents and its worker, on one machine: the other one's kernel says at once that they are gone.
func nodeLoss() program.Figure {
	line := func(what string) row.Line {
		return row.Line{
			What: "node loss -> first line of the new round's workers, " + what + ", against torchrun 1.13 with last_call_timeout=5; median",
			Unit: "ms", Must: row.AtMostTimes(">= 5x sooner", 0.2),
		}
	}
	busy, idle := line("survivors in a collective"), line(fmt.Sprintf("idle workers (watched for %v)", patience))
	host := row.Line{What: fmt.Sprintf("loss of the store's host: the job goes on within %v, against torchrun 1.13", patience), Unit: "yes/no", Must: row.AtLeast("job goes on", 1)}
	return program.Figure{Name: "node loss", Lines: []row.Line{busy, idle, host}, Measure: func(ctx context.Context, b *program.Bench, report func(row.Row)) error {
		nexus, err := launcher(ctx, b)
		if err != nil {
			return err
		}
		torchrun := []string{machine.Python, "-m", "torch.distributed.run", "-r", "9:1", "-t", "9:1"}
		for _, c := range []struct {
			line row.Line
			mode string
			lost int // 0: the one that came first, and serves
			wait time.Duration
		}{{busy, "busy", 1, enough}, {idle, "idle", 1, patience}, {host, "busy", 0, patience}} {
			var times [2][]float64
			for i := range b.Times(5) {
				for n, argv := range [][]string{{nexus, "launch"}, torchrun} {
					took, err := loseNode(ctx, b, argv, c.mode, c.lost, c.wait, fmt.Sprintf("%s-%d-%d-%d", c.mode, c.lost, i, n))
					if err != nil {
						return fmt.Errorf("%s, %s: %w", argv[0], c.mode, err)
					}
					times[n] = append(times[n], float64(took)/1e6)
				}
				if c.lost == 0 && i == 1 {
					break // twice says it
				}
			}
			if c.lost == 0 {
				report(host.Against(survived(times[0]), survived(times[1])))
				continue
			}
			report(c.line.Against(row.Median(times[0]), row.Median(times[1])))
			b.Say("%s: ours %.0f, theirs %.0f ms", c.mode, times[0], times[1])
		}
		return nil
	}}
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

// launcher builds nexus once.
func launcher(ctx context.Context, b *program.Bench) (string, error) {
	return b.Build(ctx, "nexus", "./cmd/nexus")
}

// loseNode starts two agents, kills one with its worker, and returns how long it took until the survivor's worker of
// the next round began, or wait where it did not, or the survivor ended.
func loseNode(ctx context.Context, b *program.Bench, argv []string, mode string, lost int, wait time.Duration, name string) (time.Duration, error) {
	own, err := os.Executable()
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
	args := append(argv[1:len(argv):len(argv)], "--nnodes", "1:2", "--nproc_per_node", "1", "--max_restarts", "3", "--rdzv_backend", "c10d",
		"--rdzv_endpoint", endpoint, "--rdzv_id", "loss", "--rdzv_conf", "last_call_timeout=5", "--no_python", own, nodeVerb, dir, mode)
	var agents [2]*exec.Cmd
	var gone [2]chan struct{}
	for i := range agents {
		agents[i], gone[i] = exec.CommandContext(ctx, argv[0], args...), make(chan struct{})
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
			if err := reachable(ctx, endpoint); err != nil {
				return 0, err
			}
		}
	}
	if _, err := sighting(ctx, dir, 2, 2, time.Time{}, 2*time.Minute); err != nil {
		return 0, fmt.Errorf("the two never met: %w", err)
	}
	select {
	case <-time.After(2 * time.Second): // whatever they do first, they have done it
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	killed := time.Now()
	killTree(agents[lost].Process.Pid)
	watching, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		select {
		case <-gone[1-lost]: // an agent that has ended begins no round
			stop()
		case <-watching.Done():
		}
	}()
	at, err := sighting(watching, dir, 1, 1, killed, wait)
	if errors.Is(err, errUnseen) || err != nil && ctx.Err() == nil && watching.Err() != nil {
		return wait, nil
	}
	return at.Sub(killed), err
}

// reachable waits until somebody listens.
func reachable(ctx context.Context, addr string) error {
	for deadline := time.Now().Add(time.Minute); ; {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			return conn.Close()
		}
		if time.Now().After(deadline) {
			return err
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
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
