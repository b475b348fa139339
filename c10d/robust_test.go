package c10d

import (
	"bytes"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// logBuffer is a log that a test may read while the server writes.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

var small = Limits{Key: 16, Payload: 64, Keys: 4, Memory: 4096}

func TestLimitsAndHostileBytes(t *testing.T) { bothWays(t, limitsAndHostileBytes) }

func limitsAndHostileBytes(t *testing.T) {
	long := strings.Repeat("x", 1000)
	huge := binary.LittleEndian.AppendUint64(nil, 1<<63)
	for name, c := range map[string]struct {
		gen  generation
		send []byte
		says string // in the log
	}{
		"a key too long":               {torchNew, cat([]byte{3}, str(long)), "a key of 1000 bytes, limit 16"},
		"a value too long":             {torchNew, cat([]byte{1}, str("/a"), str(long)), "a value of 1000 bytes, limit 64"},
		"too many keys":                {torchNew, cat([]byte{6}, u64(5)), "5 keys in one request, limit 4"},
		"an endless key":               {torchNew, cat([]byte{3}, huge), "a key of 9223372036854775808 bytes"},
		"a negative count":             {torchNew, cat([]byte{11}, u64(-1)), "18446744073709551615 keys"},
		"an unknown opcode":            {torchNew, []byte{19}, "unknown opcode 19"},
		"a watch in a new release":     {torchNew, []byte{0x80}, "unknown opcode 128"},
		"a wrong second magic":         {torchNew, []byte{0, 1, 2, 3, 4}, "wrong magic"},
		"a wrong magic":                {torch113, []byte{0, 0xce, 0xf7, 0x85, 0x3d, 0, 0, 0, 0}, "a key of"},
		"a web browser":                {torch113, []byte("GET / HTTP/1.1\r\n\r\n"), "unknown opcode 71"},
		"a new client, no validation":  {torch113, []byte{13, 1, 2, 3, 4}, "unknown opcode 13"},
		"an old client, value too big": {torch113, cat([]byte{0}, str("/a"), u64(65)), "a value of 65 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log logBuffer
			s := startServer(t, ServerOptions{Limits: small, Logger: slog.New(slog.NewTextHandler(&log, nil))})
			bystander := dialRaw(t, s, torchNew)
			attacker := dialRaw(t, s, c.gen)
			attacker.write(c.send)
			attacker.expectClosed()
			bystander.sync()
			eventually(t, "a warning: "+c.says, func() bool { return strings.Contains(log.String(), c.says) })
		})
	}
}

// What is within the limits, to the byte, is served.
func TestLimitsAreInclusive(t *testing.T) { bothWays(t, limitsAreInclusive) }

func limitsAreInclusive(t *testing.T) {
	c := dialRaw(t, startServer(t, ServerOptions{Limits: small}), torchNew)
	key, value := strings.Repeat("k", 16), strings.Repeat("v", 64)
	c.send("set", str(key), str(value))
	c.send("multi_get", u64(4), str(key), str(""), str(""), str(""))
	c.expect(str(value), str(""), str(""), str(""))
}

// The key that is one too many costs who sets it the connection, and nobody else; what is there can be changed and deleted.
func TestTheNumberOfKeysIsBounded(t *testing.T) { bothWays(t, theNumberOfKeysIsBounded) }

func theNumberOfKeysIsBounded(t *testing.T) {
	s := startServer(t, ServerOptions{Limits: Limits{Stored: 3}})
	c, greedy := dialRaw(t, s, torchNew), dialRaw(t, s, torch113)
	for _, key := range []string{"/a", "/b", "/c", "/a"} {
		c.send("set", str(key), str("v"))
	}
	c.sync()
	greedy.send("add", str("/d"), u64(1))
	greedy.expectClosed()
	c.send("delete", str("/b"))
	c.expect(u64(1))
	c.send("append", str("/d"), str("v"))
	c.send("num_keys")
	c.expect(u64(3))
}

func TestLargeValuesGoThrough(t *testing.T) { bothWays(t, largeValuesGoThrough) }

func largeValuesGoThrough(t *testing.T) {
	c := dialRaw(t, startServer(t, ServerOptions{}), torchNew)
	value := strings.Repeat("0123456789abcdef", 8<<20/16)
	c.send("set", str("/a"), str(value))
	c.send("multi_get", u64(2), str("/a"), str("/a"))
	c.expect(str(value), str(value))
}

// A full store costs who wants more the connection, and gives the memory back when keys go.
func TestMemoryIsBounded(t *testing.T) { bothWays(t, memoryIsBounded) }

func memoryIsBounded(t *testing.T) {
	s := startServer(t, ServerOptions{Limits: small})
	keeper := dialRaw(t, s, torchNew)
	filler := dialRaw(t, s, torchNew)
	value := strings.Repeat("v", 64)
	for i := range 100 {
		filler.conn.Write(cat([]byte{1}, str("/"+string(rune('A'+i))), str(value)))
	}
	filler.expectClosed()
	keeper.send("delete", str("/A"))
	keeper.expect(u64(1))
	keeper.send("delete", str("/B"))
	keeper.expect(u64(1))
	keeper.send("set", str("/a"), str(value))
	keeper.send("get", str("/a"))
	keeper.expect(str(value))
}

// Whatever clients did, once they are gone only data is accounted for, and after Reset nothing.
func TestMemoryIsGivenBack(t *testing.T) { bothWays(t, memoryIsGivenBack) }

func memoryIsGivenBack(t *testing.T) {
	s := startServer(t, ServerOptions{})
	for range 3 {
		c, w := dialRaw(t, s, torchNew), dialRaw(t, s, torch20)
		w.send("watch", str("/a"))
		w.expect([]byte{3})
		c.send("set", str("/a"), str("1234"))
		c.send("append", str("/a"), str("5678"))
		c.send("compare_set", str("/a"), str("12345678"), str("x"))
		c.expect(str("x"))
		c.send("queue_push", str("/q"), str("item"))
		c.send("queue_pop", str("/q"))
		c.expect(u64(1), str("item"))
		c.send("delete", str("/a"))
		c.expect(u64(1))
		c.send("barrier", str("/b"), u64(9))
		c.send("cancel_wait")
		c.expect(one)
		c.send("delete", str("/b"))
		c.expect(u64(1))
		c.send("wait", u64(2), str("/x"), str("/y"))
		eventually(t, "the wait", func() bool { return s.waiters("/y") == 1 })
		c.conn.Close()
		w.conn.Close()
		eventually(t, "all memory back", func() bool { return s.budget.used.Load() == 0 })
	}
	c := dialRaw(t, s, torchNew)
	c.send("set", str("/a"), str("x"))
	c.send("queue_push", str("/q"), str("x"))
	c.send("wait", u64(1), str("/x"))
	eventually(t, "the wait", func() bool { return s.waiters("/x") == 1 })
	s.Reset()
	eventually(t, "all memory back", func() bool { return s.budget.used.Load() == 0 })
}

// A client that asks for much and reads nothing is stopped by its own outbox, then cut off; others do not notice.
func TestClientThatDoesNotRead(t *testing.T) { bothWays(t, clientThatDoesNotRead) }

func clientThatDoesNotRead(t *testing.T) {
	var log logBuffer
	s := startServer(t, ServerOptions{Stall: 200 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	glutton, other := dialRaw(t, s, torchNew), dialRaw(t, s, torchNew)
	other.send("set", str("/big"), str(strings.Repeat("x", 4<<20)))
	other.sync()
	for range 20 {
		glutton.conn.Write(cat([]byte{3}, str("/big")))
	}
	for range 100 {
		other.send("add", str("/n"), u64(0))
		other.expect(u64(0))
	}
	eventually(t, "the glutton is dropped", func() bool { return s.connections() == 1 })
	eventually(t, "a warning", func() bool { return strings.Contains(log.String(), "stalled") })
	other.sync()
}

// The same for what is pushed without being asked for: a watcher that does not read.
func TestWatcherThatDoesNotRead(t *testing.T) { bothWays(t, watcherThatDoesNotRead) }

func watcherThatDoesNotRead(t *testing.T) {
	var log logBuffer
	s := startServer(t, ServerOptions{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	watcher, other := dialRaw(t, s, torch20), dialRaw(t, s, torchNew)
	watcher.send("watch", str("/w"))
	watcher.expect([]byte{3})
	value := str(strings.Repeat("x", 1<<20))
	for range 40 {
		other.send("set", str("/w"), value)
	}
	other.sync()
	eventually(t, "a warning", func() bool { return strings.Contains(log.String(), "client that does not read") })
}

// Who stops in the middle of a request is dropped after the stall time; who is silent between requests never is.
func TestStallAndSilence(t *testing.T) { bothWays(t, stallAndSilence) }

func stallAndSilence(t *testing.T) {
	s := startServer(t, ServerOptions{Stall: 50 * time.Millisecond})
	silent := dialRaw(t, s, torch113)      // with a second connection that never says a word
	silent.send("wait", u64(1), str("/k")) // parked is silent too
	stalled := dialRaw(t, s, torchNew)
	stalled.write([]byte{1, 200})
	stalled.expectClosed()
	waker := dialRaw(t, s, torchNew)
	waker.send("set", str("/k"), str("v"))
	silent.expect(zero)
	eventually(t, "the silent two and the waker are left", func() bool { return s.connections() == 3 })
	silent.sync()
}

func TestTooManyConnections(t *testing.T) { bothWays(t, tooManyConnections) }

func tooManyConnections(t *testing.T) {
	s := startServer(t, ServerOptions{Limits: Limits{Conns: 2}})
	a, b := dialRaw(t, s, torchNew), dialRaw(t, s, torchNew)
	a.sync()
	b.sync()
	dialRaw(t, s, generation{name: "third"}).expectClosed()
	a.sync()
	a.conn.Close()
	eventually(t, "a free seat", func() bool { return s.connections() == 1 })
	dialRaw(t, s, torchNew).sync()
}

// printf ... | nc: the answers are written before the connection ends.
func TestHalfClosedClientIsStillAnswered(t *testing.T) { bothWays(t, halfClosedClientIsStillAnswered) }

func halfClosedClientIsStillAnswered(t *testing.T) {
	c := dialRaw(t, startServer(t, ServerOptions{}), torchNew)
	big := strings.Repeat("x", 3<<20)
	c.send("set", str("/a"), str(big))
	c.send("get", str("/a"))
	c.conn.(*net.TCPConn).CloseWrite()
	c.expect(str(big))
	c.expectClosed()
}

func TestResetBeginsANewRound(t *testing.T) { bothWays(t, resetBeginsANewRound) }

func resetBeginsANewRound(t *testing.T) {
	s := startServer(t, ServerOptions{})
	old, waiting := dialRaw(t, s, torchNew), dialRaw(t, s, torch113)
	old.send("set", str("/a"), str("old"))
	old.sync()
	waiting.park(s, "/k")
	old.write(cat([]byte{1}, str("/late"), u64(3))) // half a request of the old round
	s.Reset()
	old.conn.Write([]byte("old"))
	old.expectClosed()
	waiting.expectClosed()
	c := dialRaw(t, s, torchNew)
	c.send("num_keys")
	c.expect(u64(0))
}

func TestCloseEndsEverything(t *testing.T) { bothWays(t, closeEndsEverything) }

func closeEndsEverything(t *testing.T) {
	before := runtime.NumGoroutine()
	s := startServer(t, ServerOptions{})
	var clients []*raw
	for range 8 {
		c := dialRaw(t, s, torchNew)
		c.park(s, "/k")
		clients = append(clients, c)
	}
	var closing sync.WaitGroup
	for range 3 {
		closing.Go(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	closing.Wait()
	if n := runtime.NumGoroutine(); n > before+1 {
		t.Errorf("%d goroutines, %d before", n, before)
	}
	for _, c := range clients {
		c.expectClosed()
	}
	s.Reset() // harmless
	if _, err := net.Dial("tcp", s.Addr().String()); err == nil {
		t.Error("the port still answers")
	}
	again, err := Listen(s.Addr().String(), ServerOptions{})
	if err != nil {
		t.Fatalf("the port is not free: %v", err)
	}
	again.Close()
}

// Close does not wait for a client that has gone half-way and leaves its answer unread.
func TestCloseCutsUnreadAnswers(t *testing.T) { bothWays(t, closeCutsUnreadAnswers) }

func closeCutsUnreadAnswers(t *testing.T) {
	s := startServer(t, ServerOptions{})
	c := dialRaw(t, s, torchNew)
	c.send("set", str("/a"), str(strings.Repeat("x", 8<<20)))
	c.send("multi_get", u64(4), str("/a"), str("/a"), str("/a"), str("/a"))
	c.conn.(*net.TCPConn).CloseWrite()
	eventually(t, "an answer under way", func() bool { return s.budget.used.Load() > 16<<20 })
	closed := make(chan error)
	go func() { closed <- s.Close() }()
	select {
	case err := <-closed:
		ok(t, err)
	case <-time.After(10 * time.Second):
		t.Fatal("Close still waits after 10 s")
	}
}

func TestListenOnATakenPort(t *testing.T) { bothWays(t, listenOnATakenPort) }

func listenOnATakenPort(t *testing.T) {
	s := startServer(t, ServerOptions{})
	if other, err := Listen(s.Addr().String(), ServerOptions{}); err == nil {
		other.Close()
		t.Fatal("two servers on one port")
	} else if !strings.HasPrefix(err.Error(), "listening for store clients: ") {
		t.Fatal(err)
	}
}

// A rendezvous of 256 ranks of mixed releases: all count themselves in, and wait for each other's addresses.
func Test256ClientsAtOnce(t *testing.T) { bothWays(t, manyClientsAtOnce) }

func manyClientsAtOnce(t *testing.T) {
	const world = 256
	s := startServer(t, ServerOptions{})
	var keys [][]byte
	for rank := range world {
		keys = append(keys, str("/addr/"+string(rune('0'+rank))))
	}
	var ranks sync.WaitGroup
	for rank := range world {
		ranks.Go(func() {
			gen := generations[rank%len(generations)]
			conn, err := net.Dial("tcp", s.Addr().String())
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(20 * time.Second))
			conn.Write(cat(gen.opens,
				[]byte{gen.codes["set"]}, keys[rank], str("here"),
				[]byte{gen.codes["add"]}, str("init/"), u64(1)))
			sum := make([]byte, 8)
			if _, err := io.ReadFull(conn, sum); err != nil {
				t.Error(err)
				return
			}
			conn.Write(cat([]byte{gen.codes["wait"]}, u64(world), cat(keys...)))
			done := make([]byte, 1)
			if _, err := io.ReadFull(conn, done); err != nil || done[0] != 0 {
				t.Errorf("rank %d: %v %v", rank, done, err)
			}
		})
	}
	ranks.Wait()
	c := dialRaw(t, s, torchNew)
	c.send("get", str("init/"))
	c.expect(str("256"))
}
