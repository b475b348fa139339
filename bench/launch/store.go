package main

import (
	"bufio"
	"context"
	_ "embed"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"ainexus.io/bench/machine"
	"ainexus.io/bench/program"
	"ainexus.io/bench/row"
	"ainexus.io/c10d"
)

// storeVerb is the argument that makes this program a server of ours: in a process of its own, as PyTorch's is.
const storeVerb = "store"

//go:embed store.py
var storeScript string

// storeClients is how many connections ask at once in the rows of the thin client: as many as a small job has ranks.
const storeClients = 4

// operations are what the rows about the store are about.
func operations() []string { return []string{"set", "get", "add"} }

func storeOperations() program.Figure {
	lines := func(who, release string) (all []row.Line) {
		for _, operation := range operations() {
			all = append(all, row.Line{
				What: fmt.Sprintf("store operations/s, %s, %s, against PyTorch %s's server; median", operation, who, release),
				Unit: "1/s", Must: row.AtLeastTimes(">= 1.0x each", 1),
			})
		}
		return all
	}
	thin := lines(fmt.Sprintf("by %d thin clients at once", storeClients), "1.13")
	var lone [][]row.Line
	all := thin
	for _, release := range releases() {
		lone = append(lone, lines(fmt.Sprintf("by PyTorch %s's client, one process", release), release))
		all = append(all, lone[len(lone)-1]...)
	}
	return program.Figure{Name: "store operations", Lines: all, Measure: func(ctx context.Context, b *program.Bench, report func(row.Row)) error {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		own, err := startServer(ctx, self, storeVerb)
		if err != nil {
			return err
		}
		defer own.close()
		for i, release := range releases() {
			interpreter, err := python(ctx, b, release)
			if err != nil {
				for _, line := range lone[i] {
					report(line.Missing(err))
				}
				continue
			}
			more := thin
			if i > 0 {
				more = nil // a thin client speaks as 1.13 does
			}
			if err := measureStore(ctx, b, interpreter, own.port, more, lone[i], report); err != nil {
				return err
			}
		}
		return nil
	}}
}

// measureStore asks our server and that of a PyTorch in turns: first for a while that does not count, then for what does.
func measureStore(ctx context.Context, b *program.Bench, python []string, ours int, thin, lone []row.Line, report func(row.Row)) error {
	script := filepath.Join(b.Dir, "store.py")
	if err := os.WriteFile(script, []byte(storeScript), 0o600); err != nil {
		return err
	}
	peer, err := startServer(ctx, append(python, script, "serve")...)
	if err != nil {
		return err
	}
	defer peer.close()
	torch, err := startTalker(ctx, append(python, script, "ask")...)
	if err != nil {
		return err
	}
	defer torch.close()
	compare := func(line row.Line, way func(port int) (perSecond float64, err error)) error {
		var rates [2][]float64
		for sample := range b.Times(30) + 1 {
			for side, port := range []int{ours, peer.port} {
				rate, err := way(port)
				if err != nil {
					return fmt.Errorf("%s: %w", line.What, err)
				}
				if sample > 0 {
					rates[side] = append(rates[side], rate)
				}
			}
		}
		report(line.Against(row.Median(rates[0]), row.Median(rates[1])))
		return nil
	}
	for i, line := range thin {
		if err := compare(line, func(port int) (float64, error) { return thinly(ctx, port, operations()[i], 2000) }); err != nil {
			return err
		}
	}
	for i, line := range lone {
		if err := compare(line, func(port int) (float64, error) { return torch.ask(port, operations()[i], 1000) }); err != nil {
			return err
		}
	}
	return nil
}

// server is a store that is asked.
type server struct {
	*talker
	port int
}

func startServer(ctx context.Context, argv ...string) (*server, error) {
	t, err := startTalker(ctx, argv...)
	if err != nil {
		return nil, err
	}
	told, err := t.hear()
	if err != nil {
		t.close()
		return nil, fmt.Errorf("starting the server: %w", err)
	}
	port, err := strconv.Atoi(told)
	if err != nil {
		t.close()
		return nil, fmt.Errorf("reading the server's port: %w", err)
	}
	return &server{t, port}, nil
}

// serveStore is a server of ours until the input ends.
func serveStore() error {
	s, err := c10d.Listen("127.0.0.1:0", c10d.ServerOptions{OwnThread: true})
	if err != nil {
		return err
	}
	defer s.Close()
	_, port, _ := strings.Cut(s.Addr().String(), ":")
	fmt.Println(port)
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// talker is a process that is spoken to by lines and ends with its input.
type talker struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func startTalker(ctx context.Context, argv ...string) (*talker, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &talker{cmd: cmd, in: in, out: bufio.NewReader(out)}, nil
}

func (t *talker) close() {
	t.in.Close()
	machine.Reap(t.cmd)
}

func (t *talker) hear() (string, error) {
	line, err := t.out.ReadString('\n')
	return strings.TrimSpace(line), err
}

// ask has PyTorch's client do so many operations and gives how many it did in a second.
func (t *talker) ask(port int, operation string, count int) (float64, error) {
	if _, err := fmt.Fprintln(t.in, port, operation, count); err != nil {
		return 0, err
	}
	told, err := t.hear()
	if err != nil {
		return 0, fmt.Errorf("PyTorch's client: %w", err)
	}
	seconds, err := strconv.ParseFloat(told, 64)
	return float64(count) / seconds, err
}

// thinly does count operations on each of several connections and gives how many were done in a second.
func thinly(ctx context.Context, port int, operation string, count int) (float64, error) {
	clients := make([]*thinClient, storeClients)
	for i := range clients {
		c, err := dialThin(ctx, port, i)
		if err != nil {
			return 0, err
		}
		defer c.close()
		clients[i] = c
	}
	begin := time.Now()
	done := make(chan error, len(clients))
	for _, c := range clients {
		go func() { done <- c.do(operation, count) }()
	}
	var wrong error
	for range clients {
		if err := <-done; err != nil {
			wrong = err
		}
	}
	return float64(len(clients)*count) / time.Since(begin).Seconds(), wrong
}
