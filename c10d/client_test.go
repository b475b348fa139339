package c10d

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func dial(t testing.TB, s *Server) (*Client, context.Context) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	c, err := Dial(ctx, s.Addr().String(), ClientOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, ctx
}

// must takes a result and fails on an error.
func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal[T comparable](t testing.TB, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("got %v, want %v", got, want)
	}
}

func TestClientSpeaksEveryRequest(t *testing.T) {
	s := startServer(t, ServerOptions{})
	c, ctx := dial(t, s)
	bytes, number, truth := must[[]byte](t), must[int64](t), must[bool](t)

	ok(t, c.Set(ctx, "a", []byte("1")))
	equal(t, string(bytes(c.Get(ctx, "a"))), "1")
	ok(t, c.Append(ctx, "a", []byte("23")))
	ok(t, c.MultiSet(ctx, []string{"b", "c"}, [][]byte{[]byte("x"), nil}))
	values := must[[][]byte](t)(c.MultiGet(ctx, "a", "b", "c"))
	equal(t, fmt.Sprintf("%q", values), `["123" "x" ""]`)
	equal(t, number(c.Add(ctx, "n", 41)), 41)
	equal(t, number(c.Add(ctx, "n", -1)), 40)
	equal(t, truth(c.Check(ctx, "a", "n")), true)
	equal(t, truth(c.Check(ctx, "a", "none")), false)
	equal(t, string(bytes(c.CompareSet(ctx, "cas", nil, []byte("first")))), "first")
	equal(t, string(bytes(c.CompareSet(ctx, "cas", []byte("no"), []byte("second")))), "first")
	equal(t, number(c.NumKeys(ctx)), 5)
	equal(t, truth(c.DeleteKey(ctx, "cas")), true)
	equal(t, truth(c.DeleteKey(ctx, "cas")), false)
	keys := must[[]string](t)(c.ListKeys(ctx))
	equal(t, strings.Join(keys, " "), "a b c n")
	ok(t, c.Wait(ctx, "a", "b"))
	ok(t, c.Barrier(ctx, "barrier", 1))

	ok(t, c.QueuePush(ctx, "q", []byte("first")))
	ok(t, c.QueuePush(ctx, "q", nil))
	equal(t, number(c.QueueLen(ctx, "q")), 2)
	equal(t, string(bytes(c.QueuePop(ctx, "q"))), "first")
	item, there, err := c.QueueTryPop(ctx, "q")
	ok(t, err)
	equal(t, there && len(item) == 0, true)
	_, there, err = c.QueueTryPop(ctx, "q")
	ok(t, err)
	equal(t, there, false)
	equal(t, s.budget.used.Load() > 0, true)
	equal(t, c.in.budget.used.Load(), 0)
}

// The keys of a Go rank and of a PyTorch rank are the same.
func TestClientKeysAreThoseOfPyTorch(t *testing.T) {
	s := startServer(t, ServerOptions{})
	c, ctx := dial(t, s)
	torch := dialRaw(t, s, torchNew)
	torch.send("set", str("/from torch"), str("1"))
	torch.send("add", str("init/"), u64(1))
	torch.expect(u64(1))
	ok(t, c.Set(ctx, "from go", []byte("2")))
	keys := must[[]string](t)(c.ListKeys(ctx))
	equal(t, strings.Join(keys, ", "), "from go, from torch")
	torch.send("wait", u64(1), str("/from go"))
	torch.expect(zero)
}

func TestClientWaitsForWhatComesLater(t *testing.T) {
	s := startServer(t, ServerOptions{})
	waiter, ctx := dial(t, s)
	other, _ := dial(t, s)
	var got []byte
	var waiting sync.WaitGroup
	waiting.Go(func() { got, _ = waiter.Get(ctx, "k") })
	eventually(t, "a waiter", func() bool { return s.waiters("/k") == 1 })
	ok(t, other.Set(ctx, "k", []byte("v")))
	waiting.Wait()
	equal(t, string(got), "v")

	waiting.Go(func() { got, _ = waiter.QueuePop(ctx, "q") })
	eventually(t, "a waiter", func() bool { return s.waiters("/q") == 1 })
	ok(t, other.QueuePush(ctx, "q", []byte("item")))
	waiting.Wait()
	equal(t, string(got), "item")
}

// Whatever waits, waits no longer than its context, and the client can be used afterwards.
func TestCancelledWaitLeavesTheClientUsable(t *testing.T) {
	for name, wait := range map[string]func(ctx context.Context, c *Client) error{
		"wait":    func(ctx context.Context, c *Client) error { return c.Wait(ctx, "k", "l") },
		"get":     func(ctx context.Context, c *Client) error { _, err := c.Get(ctx, "k"); return err },
		"pop":     func(ctx context.Context, c *Client) error { _, err := c.QueuePop(ctx, "k"); return err },
		"barrier": func(ctx context.Context, c *Client) error { return c.Barrier(ctx, "k", 2) },
	} {
		t.Run(name, func(t *testing.T) {
			s := startServer(t, ServerOptions{})
			c, ctx := dial(t, s)
			for _, want := range []error{context.Canceled, context.DeadlineExceeded} {
				waitCtx, cancel := context.WithCancel(ctx)
				if want == context.DeadlineExceeded {
					waitCtx, cancel = context.WithTimeout(ctx, 20*time.Millisecond)
				}
				result := make(chan error, 1)
				go func() { result <- wait(waitCtx, c) }()
				if want == context.Canceled {
					eventually(t, "a waiter", func() bool { return s.waiters("/k") == 1 })
					cancel()
				}
				if err := <-result; !errors.Is(err, want) || !strings.Contains(err.Error(), `"k"`) {
					t.Fatalf("got %v, want %v and the key", err, want)
				}
				cancel()
				equal(t, s.waiters("/k"), 0)
				equal(t, must[int64](t)(c.Add(ctx, "n", 0)), 0)
				must[bool](t)(c.DeleteKey(ctx, "k")) // the barrier's count
			}
		})
	}
}

// Cancelling and waking at the same moment, many times over: the two ends never lose step.
func TestCancelRacesWithWake(t *testing.T) {
	s := startServer(t, ServerOptions{})
	waiter, ctx := dial(t, s)
	setter, _ := dial(t, s)
	for i := range 200 {
		key := fmt.Sprint("k", i)
		waitCtx, cancel := context.WithCancel(ctx)
		var both sync.WaitGroup
		both.Go(cancel)
		both.Go(func() { setter.Set(ctx, key, nil) })
		if err := waiter.Wait(waitCtx, key); err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		both.Wait()
		equal(t, must[int64](t)(waiter.Add(ctx, "n", 1)), int64(i+1))
	}
}

func TestClientIsSharedByGoroutines(t *testing.T) {
	s := startServer(t, ServerOptions{})
	c, ctx := dial(t, s)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			for range 20 {
				if _, err := c.Add(ctx, "n", 1); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	equal(t, must[int64](t)(c.Add(ctx, "n", 0)), 400)
}

func TestBarrierHoldsAllRanks(t *testing.T) {
	s := startServer(t, ServerOptions{})
	const world = 16
	var ranks sync.WaitGroup
	for range world {
		c, ctx := dial(t, s)
		ranks.Go(func() {
			for round := range 5 {
				c.Add(ctx, fmt.Sprint("arrived", round), 1)
				if err := c.Barrier(ctx, fmt.Sprint("barrier", round), world); err != nil {
					t.Error(err)
				}
				if n, _ := c.Add(ctx, fmt.Sprint("arrived", round), 0); n != world {
					t.Errorf("%d of %d had arrived when the barrier opened", n, world)
				}
			}
		})
	}
	ranks.Wait()
}

func TestDialWaitsForTheServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ok(t, err)
	addr := l.Addr().String()
	l.Close() // nobody is there now
	dialed := make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	go func() {
		c, err := Dial(ctx, addr, ClientOptions{MinBackoff: time.Millisecond})
		if err == nil {
			err = c.Set(ctx, "a", nil)
			c.Close()
		}
		dialed <- err
	}()
	var s *Server
	eventually(t, "the port, should another process hold it for a moment", func() bool {
		s, err = Listen(addr, ServerOptions{})
		return err == nil
	})
	defer s.Close()
	ok(t, <-dialed)
}

func TestDialGivesUpWithItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	// Hardly a pause, so that the deadline often falls into an attempt.
	_, err := Dial(ctx, "127.0.0.1:1", ClientOptions{MinBackoff: time.Microsecond, MaxBackoff: time.Microsecond})
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "refused") {
		t.Fatalf("%v; want the deadline, and what the last attempt met", err)
	}
	if _, err = Dial(t.Context(), "no-port", ClientOptions{}); err == nil || !strings.Contains(err.Error(), "missing port") {
		t.Fatalf("%v; want an address without a port refused at once", err)
	}
}

func TestDialTellsAStrangerFromAStore(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ok(t, err)
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
			conn.Close()
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if c, err := Dial(ctx, l.Addr().String(), ClientOptions{}); err == nil {
		c.Close()
		t.Fatal("taken for a store")
	}
}

func TestLostConnectionStaysLost(t *testing.T) {
	s := startServer(t, ServerOptions{})
	c, ctx := dial(t, s)
	result := make(chan error, 1)
	go func() { result <- c.Wait(ctx, "k") }()
	eventually(t, "a waiter", func() bool { return s.waiters("/k") == 1 })
	s.Reset()
	for _, err := range []error{<-result, c.Wait(ctx, "k"), c.Set(ctx, "k", nil)} {
		if !errors.Is(err, ErrLost) {
			t.Fatalf("%v, want ErrLost", err)
		}
	}
	fresh, _ := dial(t, s)
	equal(t, must[int64](t)(fresh.NumKeys(ctx)), 0)
}

// A server that hangs in the middle of an exchange holds a client no longer than its context.
func TestHungServer(t *testing.T) {
	s := startServer(t, ServerOptions{})
	c, ctx := dial(t, s)
	s.mu.Lock()
	st := s.store
	s.mu.Unlock()
	st.mu.Lock() // as if it were stopped
	short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	_, err := c.Add(short, "n", 1)
	st.mu.Unlock()
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ErrLost) {
		t.Fatalf("%v, want the deadline and ErrLost", err)
	}
}

func TestCloseWakesItsOwnWaiters(t *testing.T) {
	s := startServer(t, ServerOptions{})
	c, ctx := dial(t, s)
	results := make(chan error, 2)
	go func() { results <- c.Wait(ctx, "k") }()
	eventually(t, "a waiter", func() bool { return s.waiters("/k") == 1 })
	go func() { results <- c.Set(ctx, "another in the queue", nil) }()
	ok(t, c.Close())
	ok(t, c.Close())
	for range 2 {
		if err := <-results; !errors.Is(err, ErrClosed) {
			t.Fatalf("%v, want ErrClosed", err)
		}
	}
}

// What would cost the connection is refused before it is sent, with the limit.
func TestClientKeepsTheLimits(t *testing.T) {
	s := startServer(t, ServerOptions{})
	c, ctx := dial(t, s)
	for want, err := range map[string]error{
		"a key of 8193 bytes, limit 8192":          c.Set(ctx, strings.Repeat("k", 8192), nil),
		"a value of 8388609 bytes, limit 8388608":  c.Set(ctx, "k", make([]byte, 8<<20+1)),
		"131073 keys in one request, limit 131072": c.Wait(ctx, slices.Repeat([]string{"k"}, 128<<10+1)...),
		"2 keys, but 1 values":                     c.MultiSet(ctx, []string{"a", "b"}, [][]byte{nil}),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	equal(t, must[int64](t)(c.NumKeys(ctx)), 0)
}
