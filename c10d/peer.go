package c10d

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"syscall"
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
	out     *outbox
	addr    net.Addr
	host    string
	log     *slog.Logger
	spoken  bool // guarded by the server's lock
	begun   bool // it has made a request
	dialect dialect
}

func newPeer(s *Server, conn net.Conn) *peer {
	addr := conn.RemoteAddr()
	host := addr.String()
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	p := &peer{server: s, store: s.store, addr: addr, host: host, log: s.log.With("peer", addr), out: newOutbox(s.budget, s.stall)}
	p.caller.out = p.out
	p.log.Debug("store client came")
	return p
}

// serve starts the two goroutines of the connection: one reads requests and executes them until the client goes or must go,
// one writes what is not written at once. early is what has been read already.
func (p *peer) serve(conn net.Conn, early []byte) {
	p.out.use(conn)
	p.server.running.Add(2)
	go func() {
		defer p.server.running.Done()
		p.out.run() // outlives the reader while answers are left to write
		p.server.forget(p)
	}()
	go func() {
		defer p.server.running.Done()
		p.read(&stallingConn{Conn: conn, stall: p.server.stall, early: early})
	}()
}

func (p *peer) read(conn *stallingConn) {
	in := newWireReader(conn, p.server.limits, p.server.budget)
	err := p.requests(conn, in)
	in.release()
	p.leave()
	p.out.end() // what was answered before is still written
	p.tellWhy(err)
}

// leave takes the client out of the store.
func (p *peer) leave() {
	p.store.leave(&p.caller)
	p.server.spoke(p)
}

// tellWhy logs the end of a connection.
func (p *peer) tellWhy(err error) {
	if cut := p.out.why(); cut != nil {
		err = cut
	}
	switch {
	case err == nil, errors.Is(err, errReset), errors.Is(err, net.ErrClosed):
		p.log.Debug("store client left")
	case errors.Is(err, os.ErrDeadlineExceeded):
		p.log.Warn("store client dropped", "error", "stalled", "limit", p.server.stall)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, new(*net.OpError)), errors.As(err, new(syscall.Errno)):
		p.log.Debug("store client lost", "error", err)
	default:
		p.log.Warn("store client dropped", "error", err)
	}
}

func (p *peer) requests(conn *stallingConn, in *wireReader) error {
	for {
		if !p.out.awaitRoom() { // who comes from the loop may have much to read, too
			return net.ErrClosed
		}
		conn.busy = false
		code, err := in.u8()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		conn.busy = true
		if !p.begun {
			p.server.spoke(p)
		}
		req, err := p.parse(in, code)
		if err != nil {
			return err
		}
		if err := p.execute(in, req); err != nil {
			return err
		}
	}
}

// parse reads the request that begins with code.
func (p *peer) parse(in *wireReader, code byte) (request, error) {
	o, err := p.opcode(in, code)
	if err != nil {
		return request{}, err
	}
	return in.request(o)
}

// execute does what was parsed last.
func (p *peer) execute(in *wireReader, req request) error {
	p.begun = true
	err := p.store.execute(&p.caller, req)
	in.release()
	return err
}

// opcode says what request follows, and settles what the client is when its first or a doubtful opcode shows it.
func (p *peer) opcode(in *wireReader, code byte) (op, error) {
	if !p.begun && code == byte(opValidate) {
		// Either VALIDATE or the SET of an old client, which is longer than the magic number.
		next, err := in.peek(4)
		if err != nil {
			return opUnknown, io.ErrUnexpectedEOF
		}
		if bytes.Equal(next, binary.LittleEndian.AppendUint32(nil, magic)) {
			p.dialect = dialectModern
		}
	}
	p.caller.legacy = p.dialect != dialectModern
	if p.doubtful(code) {
		p.dialect = p.release(code)
	}
	o := p.dialect.op(code)
	if o == opUnknown {
		return o, fmt.Errorf("unknown opcode %d", code)
	}
	return o, nil
}

// doubtful says that releases which the client may be of differ in what they mean by code.
func (p *peer) doubtful(code byte) bool { return p.dialect == dialectCommon && 6 < code && code <= 12 }

// release tells 1.13 and 2.0 from 2.1 by the first opcode in which they differ. It may wait.
func (p *peer) release(code byte) dialect {
	switch {
	case p.server.legacy == LegacyWatch:
		return dialectWatch
	case p.server.legacy == LegacyNoWatch:
		return dialectNoWatch
	case code == 7 && !p.begun:
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
	early []byte // read already
	busy  bool   // within a request
	armed bool
}

func (c *stallingConn) Read(b []byte) (int, error) {
	if len(c.early) > 0 {
		n := copy(b, c.early)
		c.early = c.early[n:]
		return n, nil
	}
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
