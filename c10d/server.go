package c10d

import (
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"
)

// Legacy says what a client older than PyTorch 2.2 means by the opcodes from 7 on (delete, append, multi_get, ...),
// in which these releases differ. What init_process_group needs lies below 7 and is never in doubt.
type Legacy uint8

const (
	// LegacyAuto decides for each connection. 1.13 and 2.0 open a second connection per client that stays silent, and
	// 2.1 does not: so a connection whose address has a silent one beside it is taken for the former. Opcodes
	// that give a release away outright come first. It can err where clients come through a NAT together.
	LegacyAuto Legacy = iota
	// LegacyWatch takes every old client for 1.13 or 2.0, which know WATCH_KEY.
	LegacyWatch
	// LegacyNoWatch takes every old client for 2.1.
	LegacyNoWatch
)

// ServerOptions are the settings of a server. The zero value is good.
type ServerOptions struct {
	Limits Limits
	Legacy Legacy

	// Stall is how long a client may pause in the middle of a request, or leave an answer unread that no longer fits
	// into the buffers, before it loses its connection; default 5 minutes. Between requests a client may be silent
	// for ever. Only memory is at stake, never other clients, so this is generous: a stopped process may go on.
	Stall time.Duration

	// OwnThread has the server answer from a thread of its own, where the system is Linux. That is for a process that does
	// little else: the answers come sooner, but for up to 200 ms after each request one of Go's processors (GOMAXPROCS) is not
	// another goroutine's. With only one of them it does nothing.
	OwnThread bool

	// Logger hears of dropped clients (warn) and of comings and goings (debug). Nil is silent.
	Logger *slog.Logger
}

// Server is a TCPStore server. Its methods may be called from any goroutine.
type Server struct {
	listener net.Listener
	limits   Limits
	legacy   Legacy
	stall    time.Duration
	log      *slog.Logger
	budget   *budget
	loop     *loop         // nil where each connection has goroutines of its own
	done     chan struct{} // closed by Close
	running  sync.WaitGroup

	mu     sync.Mutex
	closed bool
	store  *store
	peers  map[*peer]struct{}
	silent map[string]int // connections that have not yet sent a byte, by the client's address
}

// Listen starts a server on addr, as net.Listen takes it for "tcp": ":29500" is all addresses of both families,
// "127.0.0.1:0" a free port. It serves until Close.
func Listen(addr string, opts ServerOptions) (*Server, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listening for store clients: %w", err)
	}
	s := newServer(l, opts)
	if opts.OwnThread {
		s.loop = newLoop(s)
	}
	if s.loop != nil {
		s.running.Go(s.loop.run)
	}
	s.running.Go(s.accept)
	return s, nil
}

func newServer(l net.Listener, opts ServerOptions) *Server {
	s := &Server{
		listener: l,
		limits:   opts.Limits.withDefaults(),
		legacy:   opts.Legacy,
		stall:    opts.Stall,
		log:      opts.Logger,
		done:     make(chan struct{}),
		peers:    map[*peer]struct{}{},
		silent:   map[string]int{},
	}
	if s.stall <= 0 {
		s.stall = 5 * time.Minute
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.log = s.log.With("component", "c10d")
	s.budget = &budget{limit: s.limits.Memory}
	s.store = newStore(s.limits, s.budget)
	return s
}

// Addr is the address the server listens on; its port is MASTER_PORT.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Close stops listening, drops every connection and returns when all goroutines have ended. Closing again does nothing
// but wait for the same.
func (s *Server) Close() error {
	s.mu.Lock()
	var err error
	if !s.closed {
		s.closed = true
		close(s.done)
		err = s.listener.Close()
		s.begin()
		if s.loop != nil {
			s.loop.stop()
		}
	}
	s.mu.Unlock()
	s.running.Wait()
	return err
}

// Reset begins a new round: the store is empty and every connection is dropped. What a dropped client had sent, but
// the server not yet done, is never done. Clients do not find their way back by themselves: the new round's dial anew.
func (s *Server) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.begin()
	}
}

// begin replaces the store, so that a request of an old connection, however late, meets a dead one.
func (s *Server) begin() {
	s.store.kill()
	s.store = newStore(s.limits, s.budget)
	for p := range s.peers {
		p.out.abort()
	}
	clear(s.peers)
}

// accept takes connections in until the listener is closed. It never waits for a client's first bytes.
func (s *Server) accept() {
	var pause time.Duration
	for {
		conn, err := s.listener.Accept()
		if err == nil {
			pause = 0
			s.serve(conn)
			continue
		}
		select {
		case <-s.done:
			return
		default:
		}
		// Too many open files, most likely. Connections wait in the kernel's backlog until some are free.
		pause = min(max(2*pause, 5*time.Millisecond), time.Second)
		s.log.Warn("accepting a store client", "error", err, "retry_in", pause)
		select {
		case <-s.done:
			return
		case <-time.After(pause):
		}
	}
}

// serve takes a connection in: into the loop, where there is one and it takes it, else to goroutines of its own.
func (s *Server) serve(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		conn.Close()
		return
	}
	if len(s.peers) >= s.limits.Conns {
		conn.Close()
		s.log.Warn("store client refused", "peer", conn.RemoteAddr(), "error", "too many connections", "limit", s.limits.Conns)
		return
	}
	p := newPeer(s, conn)
	s.peers[p] = struct{}{}
	s.silent[p.host]++
	if s.loop == nil || !s.loop.take(p, conn) {
		p.serve(conn, nil)
	}
}

// spoke notes that a connection is no longer silent, by its first byte or because it is gone.
func (s *Server) spoke(p *peer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.spoken {
		return
	}
	p.spoken = true
	if s.silent[p.host]--; s.silent[p.host] == 0 {
		delete(s.silent, p.host)
	}
}

func (s *Server) hasSilent(host string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.silent[host] > 0
}

func (s *Server) forget(p *peer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.peers, p)
}
