package api

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// silentPatience is how long, once the server stops, a connection that has never asked anything has left to ask.
const silentPatience = 100 * time.Millisecond

// silent are the connections on which no request has come yet. Browsers open such in advance, and so do Go clients
// that ask twice at once; [http.Server.Shutdown] waits five seconds for each of them.
type silent struct {
	mu    sync.Mutex
	conns map[net.Conn]struct{}
	over  bool // cut has been called
}

// follow is for [http.Server.ConnState]. A connection leaves before its request reaches a handler.
func (s *silent) follow(c net.Conn, state http.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case state != http.StateNew:
		delete(s.conns, c)
	case s.over:
		c.Close()
	default:
		s.conns[c] = struct{}{}
	}
}

// cut closes what is silent still, and what comes from now on.
func (s *silent) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	for c := range s.conns {
		c.Close()
	}
}
