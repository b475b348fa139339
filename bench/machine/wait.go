package machine

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"time"
)

// FreePort is a port of the loopback address that nobody listens on just now.
func FreePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// Until asks every few milliseconds whether it is done, for limit at most. A benchmark may look at the clock; what it
// measures is taken elsewhere.
func Until(ctx context.Context, limit time.Duration, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not after %v: %w", limit, ctx.Err())
		case <-tick.C:
		}
	}
}

// Patience is how long a process that was asked to end may take for it.
const Patience = 5 * time.Second

// Reap waits for a process that was asked to end. Each time that it has not ended within [Patience] it gets the next
// signal, and after the last one it is killed.
func Reap(cmd *exec.Cmd, signals ...os.Signal) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		cmd.Wait()
	}()
	for _, sig := range append(signals, os.Kill) {
		select {
		case <-done:
			return
		case <-time.After(Patience):
			cmd.Process.Signal(sig)
		}
	}
	<-done
}
