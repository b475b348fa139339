package c10d

import (
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// generation is a release as the test speaks it: its own table of opcodes, written down apart from the product's.
type generation struct {
	name   string
	opens  []byte // what it sends first
	second bool   // opens a silent second connection
	codes  map[string]byte
}

var (
	torch113 = generation{"1.13", nil, true, map[string]byte{
		"set": 0, "compare_set": 1, "get": 2, "add": 3, "check": 4, "wait": 5, "num_keys": 6, "watch": 7, "delete": 8}}
	torch20 = generation{"2.0", nil, true, map[string]byte{
		"set": 0, "compare_set": 1, "get": 2, "add": 3, "check": 4, "wait": 5, "num_keys": 6, "watch": 7, "delete": 8,
		"append": 9, "multi_get": 10, "multi_set": 11, "cancel_wait": 12}}
	torch21 = generation{"2.1", nil, false, map[string]byte{
		"set": 0, "compare_set": 1, "get": 2, "add": 3, "check": 4, "wait": 5, "num_keys": 6, "delete": 7,
		"append": 8, "multi_get": 9, "multi_set": 10, "cancel_wait": 11}}
	torchNew = generation{"2.9", []byte{0, 0xce, 0xf7, 0x85, 0x3c}, false, map[string]byte{
		"validate": 0, "set": 1, "compare_set": 2, "get": 3, "add": 4, "check": 5, "wait": 6, "num_keys": 7, "delete": 8,
		"append": 9, "multi_get": 10, "multi_set": 11, "cancel_wait": 12, "ping": 13, "queue_push": 14, "queue_pop": 15,
		"queue_len": 16, "list_keys": 17, "barrier": 18}}
	generations = []generation{torch113, torch20, torch21, torchNew}
)

// raw is a client that writes bytes and expects bytes.
type raw struct {
	t    testing.TB
	conn net.Conn
	gen  generation
}

// bothWays runs a test with servers that have a thread of their own, and with such as have goroutines for each connection.
func bothWays(t *testing.T, test func(t *testing.T)) {
	t.Run("thread", test)
	t.Run(goroutines, test)
}

// goroutines in the name of a test has startServer start such a server.
const goroutines = "goroutines"

func startServer(t testing.TB, opts ServerOptions) *Server {
	t.Helper()
	opts.OwnThread = !strings.Contains(t.Name(), goroutines)
	s, err := Listen("127.0.0.1:0", opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func dialRaw(t testing.TB, s *Server, gen generation) *raw {
	t.Helper()
	open := func() net.Conn {
		conn, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		return conn
	}
	r := &raw{t, open(), gen}
	if gen.second {
		open()
	}
	r.write(gen.opens)
	return r
}

// u64 is how lengths, counts and counters travel; str how keys and values do.
func u64(n int) []byte    { return binary.LittleEndian.AppendUint64(nil, uint64(n)) }
func str(s string) []byte { return append(u64(len(s)), s...) }
func cat(b ...[]byte) []byte {
	var all []byte
	for _, part := range b {
		all = append(all, part...)
	}
	return all
}

func (r *raw) write(b []byte) {
	r.t.Helper()
	if _, err := r.conn.Write(b); err != nil {
		r.t.Fatalf("%s: writing: %v", r.gen.name, err)
	}
}

func (r *raw) send(op string, body ...[]byte) {
	r.t.Helper()
	code, ok := r.gen.codes[op]
	if !ok {
		r.t.Fatalf("PyTorch %s has no %s", r.gen.name, op)
	}
	r.write(append([]byte{code}, cat(body...)...))
}

func (r *raw) expect(want ...[]byte) {
	r.t.Helper()
	all := cat(want...)
	got := make([]byte, len(all))
	if n, err := io.ReadFull(r.conn, got); err != nil {
		r.t.Fatalf("%s: reading an answer: %v after %q, want %q", r.gen.name, err, got[:n], all)
	}
	if string(got) != string(all) {
		r.t.Fatalf("%s: answer %q, want %q", r.gen.name, got, all)
	}
}

// sync returns when the server has done all that was sent before, and fails if an unexpected answer lay in between.
func (r *raw) sync() {
	r.t.Helper()
	r.send("check", u64(0))
	r.expect([]byte{0})
}

// expectClosed fails unless the server closes the connection without another byte.
func (r *raw) expectClosed() {
	r.t.Helper()
	b := make([]byte, 1)
	n, err := r.conn.Read(b)
	if ne, ok := err.(net.Error); n > 0 || err == nil || ok && ne.Timeout() {
		r.t.Fatalf("%s: read %q, %v; want a closed connection", r.gen.name, b[:n], err)
	}
}

// eventually polls until cond holds.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 10 s: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// waiters counts the places in line for key.
func (s *Server) waiters(key string) int {
	s.mu.Lock()
	st := s.store
	s.mu.Unlock()
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.waiting[key] == nil {
		return 0
	}
	return st.waiting[key].Len()
}

func (s *Server) connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.peers)
}
