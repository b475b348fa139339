package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"ainexus.io/bench/machine"
	"ainexus.io/bench/program"
	"ainexus.io/bench/row"
)

// spinVerb makes this program a worker that never rests.
const spinVerb = "spin"

// The soak's nodes, and the workers of all of them.
const (
	soakNodes   = 4
	soakWorkers = 8
)

// soak has agents meet whose workers take all the processor they can get, and counts the losses that there were none of.
func soak(ctx context.Context, b *program.Bench, length time.Duration) error {
	line := row.Line{
		What: fmt.Sprintf("nodes falsely lost in %v: %d agents, %d busy workers, %d cpus", length, soakNodes, soakWorkers, runtime.NumCPU()),
		Unit: "losses", Must: row.AtMost("0", 0),
	}
	for _, fact := range machine.Describe(ctx) {
		b.Say("%v", fact)
	}
	err := b.Rows.Owe(ctx, []row.Line{line}, func(report func(row.Row)) error {
		losses, err := falseLosses(ctx, b, length)
		if err == nil {
			report(line.Alone(float64(losses)))
		}
		return err
	})
	b.Say("%v", machine.Load("load after"))
	if err != nil {
		return err
	}
	return b.Rows.Close()
}

// said collects what agents say.
type said struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// lossWords are what agents say when they believe that another is gone.
var lossWords = regexp.MustCompile(`is not heard of|\bdied|does not answer|is gone|too few`)

func falseLosses(ctx context.Context, b *program.Bench, length time.Duration) (int, error) {
	us, err := ours(ctx, b)
	if err != nil {
		return 0, err
	}
	own, err := os.Executable()
	if err != nil {
		return 0, err
	}
	port, err := machine.FreePort()
	if err != nil {
		return 0, err
	}
	endpoint := fmt.Sprintf("127.0.0.1:%d", port)
	var outputs [soakNodes]said
	var agents []*exec.Cmd
	defer func() {
		for _, a := range agents {
			a.Process.Signal(syscall.SIGKILL)
			a.Wait()
		}
	}()
	for i := range soakNodes {
		cmd := exec.CommandContext(ctx, us.argv[0], us.with("--nnodes", fmt.Sprintf("1:%d", soakNodes), "--nproc-per-node", fmt.Sprint(soakWorkers/soakNodes),
			"--rdzv-endpoint", endpoint, "--rdzv-id", "soak", "--rdzv-conf", "last_call_timeout=30", "--no-python", own, spinVerb, (length+time.Minute).String())...)
		cmd.Stdout, cmd.Stderr = &outputs[i], &outputs[i]
		if err := cmd.Start(); err != nil {
			return 0, err
		}
		agents = append(agents, cmd)
	}
	err = machine.Until(ctx, time.Minute, func() (bool, error) {
		n := 0
		for i := range outputs {
			n += strings.Count(outputs[i].String(), fmt.Sprintf("spinning in a world of %d", soakWorkers))
		}
		return n >= soakWorkers, nil
	})
	if err != nil {
		return 0, fmt.Errorf("waiting for the agents to meet: %w: %s", err, outputs[0].String())
	}
	b.Say("%d workers spin; %v to go", soakWorkers, length)
	select {
	case <-time.After(length):
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	losses := 0
	for i := range outputs {
		found := lossWords.FindAllString(outputs[i].String(), -1)
		if losses += len(found); len(found) > 0 {
			b.Say("agent %d said: %s", i, outputs[i].String())
		}
	}
	return losses, nil
}

// spin keeps a cpu busy.
func spin(args []string) error {
	length, err := time.ParseDuration(args[0])
	if err != nil {
		return err
	}
	fmt.Printf("spinning in a world of %s\n", os.Getenv("WORLD_SIZE"))
	for until := time.Now().Add(length); time.Now().Before(until); {
		for range 1_000_000 { // so that the clock is not what is busy
		}
	}
	return nil
}
