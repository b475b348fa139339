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

func storeOperations() program.Figure {
	var lines []row.Line
	for _, who := range []string{
		fmt.Sprintf("by %d thin clients at once", storeClients),
		"by PyTorch 1.13's client, one process",
	} {
		for _, operation := range []string{"set", "get", "add"} {
			lines = append(lines, row.Line{
				What: fmt.Sprintf("store operations/s, %s, %s, against PyTorch 1.13's server", operation, who),
				Unit: "1/s", Must: row.AtLeastTimes(">= 1.0x", 1),
			})
		}
	}
	return program.Figure{Name: "store operations", Lines: lines, Measure: func(ctx context.Context, b *program.Bench, report func(row.Row)) error {
		return measureStore(ctx, b, lines, report)
	}}
}

// measureStore asks both servers in turns: first for a while that does not count, then for what does.
func measureStore(ctx context.Context, b *program.Bench, lines []row.Line, report func(row.Row)) error {
	script := filepath.Join(b.Dir, "store.py")
	if err := os.WriteFile(script, []byte(storeScript), 0o600); err != nil {
		return err
	}
	own, err := os.Executable()
	if err != nil {
		return err
	}
	var ports [2]int
	for i, argv := range [][]string{{own, storeVerb}, {machine.Python, script, "serve"}} {
		server, err := startTalker(ctx, argv...)
		if err != nil {
			return err
		}
		defer server.close()
		told, err := server.hear()
		if err != nil {
			return fmt.Errorf("starting the server: %w", err)
		}
		if ports[i], err = strconv.Atoi(told); err != nil {
			return fmt.Errorf("reading the server's port: %w", err)
		}
	}
	torch, err := startTalker(ctx, machine.Python, script, "ask")
	if err != nil {
		return err
	}
	defer torch.close()
	ways := []func(port int, operation string) (perSecond float64, err error){
		func(port int, operation string) (float64, error) { return thinly(ctx, port, operation, 2000) },
		func(port int, operation string) (float64, error) { return torch.ask(port, operation, 1000) },
	}
	for i, line := range lines {
		way, operation := ways[i/3], []string{"set", "get", "add"}[i%3]
		var rates [2][]float64
		for sample := range b.Times(30) + 1 {
			for side, port := range ports {
				rate, err := way(port, operation)
				if err != nil {
					return fmt.Errorf("%s: %w", line.What, err)
				}
				if sample > 0 {
					rates[side] = append(rates[side], rate)
				}
			}
		}
		report(line.Against(row.Median(rates[0]), row.Median(rates[1])))
	}
	return nil
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
