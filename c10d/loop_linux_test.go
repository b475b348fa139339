package c10d

import (
	"bytes"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Whatever bytes come, the thread answers with the same ones as goroutines do, which are the simpler code, and accounts as well.
func FuzzThreadAnswersAsGoroutines(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		var answers [2][]byte
		for i := range answers {
			s := newServer(nowhere{}, ServerOptions{Legacy: LegacyWatch, Limits: Limits{Memory: 1 << 20}})
			if i == 0 {
				if s.loop = newLoop(s); s.loop == nil {
					t.Skip("there is but one processor")
				}
				s.running.Go(s.loop.run)
			}
			ours, theirs := socketPair(t)
			s.serve(theirs)
			go func() { // it may not be read to its end
				ours.Write(data)
				ours.CloseWrite()
			}()
			ours.SetReadDeadline(time.Now().Add(20 * time.Second))
			answer, err := io.ReadAll(ours)
			if err != nil && !strings.Contains(err.Error(), "reset") {
				t.Fatalf("after %d bytes: %v", len(answer), err)
			}
			ours.Close()
			eventually(t, "the client is forgotten", func() bool { return s.connections() == 0 })
			s.Reset()
			eventually(t, "all memory back", func() bool { return s.budget.used.Load() == 0 })
			s.Close()
			slices.Sort(answer) // keys are listed in any order
			answers[i] = answer
		}
		if !bytes.Equal(answers[0], answers[1]) {
			t.Fatalf("the thread's answer has %d bytes, %q; that of goroutines %d, %q", len(answers[0]), answers[0], len(answers[1]), answers[1])
		}
	})
}

func socketPair(t *testing.T) (*net.UnixConn, net.Conn) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]net.Conn
	for i, fd := range fds {
		file := os.NewFile(uintptr(fd), "end")
		if ends[i], err = net.FileConn(file); err != nil {
			t.Fatal(err)
		}
		file.Close()
	}
	return ends[0].(*net.UnixConn), ends[1]
}

// What needs more than the thread gives goes on with goroutines, in the middle of a conversation and without losing a byte of it.
func TestAConnectionLeavesTheThread(t *testing.T) {
	for name, push := range map[string]func(c *raw){
		"a value that comes in pieces": func(c *raw) {
			value := str(strings.Repeat("x", 300_000))
			c.send("set", str("/big"), value[:200_000])
			c.write(value[200_000:])
		},
		"an answer that does not fit": func(c *raw) {
			c.send("set", str("/v"), str(strings.Repeat("y", 1<<20)))
			c.send("multi_get", u64(8), str("/v"), str("/v"), str("/v"), str("/v"), str("/v"), str("/v"), str("/v"), str("/v"))
			for range 8 {
				c.expect(str(strings.Repeat("y", 1<<20)))
			}
		},
		"a request of a doubtful release": func(c *raw) {
			c.send("delete", str("/none"))
			c.expect(u64(0))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := startServer(t, ServerOptions{})
			if s.loop == nil {
				t.Skip("there is but one processor")
			}
			gen := torchNew
			if strings.Contains(name, "doubtful") {
				gen = torch20
			}
			c, other := dialRaw(t, s, gen), dialRaw(t, s, torchNew)
			c.sync()
			other.sync()
			inside := func() int { return len(s.loop.clients()) }
			eventually(t, "all came in", func() bool { return inside() == s.connections() })
			before := inside()
			push(c)
			c.sync()
			if inside() != before-1 {
				t.Errorf("%d connections with the thread, %d before", inside(), before)
			}
			c.send("wait", u64(1), str("/late"))
			eventually(t, "the wait", func() bool { return s.waiters("/late") == 1 })
			other.send("set", str("/late"), str("x"))
			c.expect(zero)
			other.sync()
		})
	}
}

// A client that sets without end has the thread look for more of it, and others are answered all the same.
func TestAStreamOfSetsLetsOthersIn(t *testing.T) {
	s := startServer(t, ServerOptions{})
	if s.loop == nil {
		t.Skip("there is but one processor")
	}
	streams, other := dialRaw(t, s, torchNew), dialRaw(t, s, torchNew)
	streams.sync()
	done := make(chan struct{})
	sent := make(chan int)
	go func() {
		sets := 0
		for {
			select {
			case <-done:
				sent <- sets
				return
			default:
				streams.send("set", str("/last"), str("x"))
				sets++
			}
		}
	}()
	for range 100 {
		other.sync()
	}
	close(done)
	if sets := <-sent; sets == 0 {
		t.Error("nothing was set meanwhile")
	}
	streams.sync()
}
