package c10d

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

// How long an old client's first doubtful request waits for the silent connection that would tell its release. That
// connection was opened before the request was sent, so this only has to outlast a late turn of the accept loop.
const silentPartnerWait = 300 * time.Millisecond

// peer is the server's end of one connection. Its store is that of the round in which it was accepted.
type peer struct {
	server  *Server
	store   *store
	caller  caller
	conn    *stallingConn
	in      *wireReader
	out     *outbox
	host    string
	spoken  bool // guarded by the server's lock
	dialect dialect
}

func newPeer(s *Server, conn net.Conn) *peer {
	host := conn.RemoteAddr().String()
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	p := &peer{server: s, store: s.store, host: host}
	p.conn = &stallingConn{Conn: conn, stall: s.stall}
	p.in = newWireReader(p.conn, s.limits, s.budget)
	p.out = newOutbox(conn, s.budget, s.stall)
	p.caller.out = p.out
	return p
}

// run reads and executes requests until the client goes or must go.
func (p *peer) run() {
	log := p.server.log.With("peer", p.conn.RemoteAddr())
	log.Debug("store client came")
	err := p.requests()
	p.in.release()
	p.store.leave(&p.caller)
	p.server.spoke(p)
	p.out.end() // what was answered before is still written
	if cut := p.out.why(); cut != nil {
		err = cut
	}
	switch {
	case err == nil, errors.Is(err, errReset), errors.Is(err, net.ErrClosed):
		log.Debug("store client left")
	case errors.Is(err, os.ErrDeadlineExceeded):
		log.Warn("store client dropped", "error", "stalled", "limit", p.server.stall)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, new(*net.OpError)):
		log.Debug("store client lost", "error", err)
	default:
		log.Warn("store client dropped", "error", err)
	}
}

func (p *peer) requests() error {
	for first := true; ; first = false {
		p.conn.busy = false
		code, err := p.in.u8()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		p.conn.busy = true
		if first {
			p.server.spoke(p)
		}
		o, err := p.opcode(code, first)
		if err != nil {
			return err
		}
		req, err := p.in.request(o)
		if err != nil {
			return err
		}
		if err := p.store.execute(&p.caller, req); err != nil {
			return err
		}
		p.in.release()
		if !p.out.awaitRoom() {
			return net.ErrClosed
		}
	}
}

// opcode says what request follows, and settles what the client is when its first or a doubtful opcode shows it.
func (p *peer) opcode(code byte, first bool) (op, error) {
	if first && code == byte(opValidate) {
		// Either VALIDATE or the SET of an old client, which is longer than the magic number.
		next, err := p.in.r.Peek(4)
		if err != nil {
			return opUnknown, io.ErrUnexpectedEOF
		}
		if bytes.Equal(next, binary.LittleEndian.AppendUint32(nil, magic)) {
			p.dialect = dialectModern
		}
	}
	p.caller.legacy = p.dialect != dialectModern
	if p.dialect == dialectCommon && 6 < code && code <= 12 {
		p.dialect = p.release(code, first)
	}
	o := p.dialect.op(code)
	if o == opUnknown {
		return o, fmt.Errorf("unknown opcode %d", code)
	}
	return o, nil
}

// release tells 1.13 and 2.0 from 2.1 by the first opcode in which they differ.
func (p *peer) release(code byte, first bool) dialect {
	switch {
	case p.server.legacy == LegacyWatch:
		return dialectWatch
	case p.server.legacy == LegacyNoWatch:
		return dialectNoWatch
	case code == 7 && first:
		return dialectWatch // WATCH_KEY, on the connection that carries nothing else
	case code == 7:
		return dialectNoWatch // DELETE_KEY: nobody watches on a connection with other requests
	case code == 12:
		return dialectWatch // CANCEL_WAIT of 2.0; 2.1 ends at 11
	case code == 11 && p.store.parked(&p.caller):
		return dialectNoWatch // CANCEL_WAIT of 2.1
	}
	deadline := time.NewTimer(silentPartnerWait)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !p.server.hasSilent(p.host) {
		select {
		case <-tick.C:
		case <-deadline.C:
			return dialectNoWatch
		case <-p.server.done:
			return dialectNoWatch
		}
	}
	return dialectWatch
}

// stallingConn limits how long a read in the middle of a request may take, and no other.
type stallingConn struct {
	net.Conn
	stall time.Duration
	busy  bool // within a request
	armed bool
}

func (c *stallingConn) Read(b []byte) (int, error) {
	if c.busy || c.armed {
		var deadline time.Time
		if c.busy {
			deadline = time.Now().Add(c.stall)
		}
		c.armed = c.busy
		if err := c.Conn.SetReadDeadline(deadline); err != nil {
			return 0, err
		}
	}
	return c.Conn.Read(b)
}
