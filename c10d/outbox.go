package c10d

import (
	"fmt"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"
)

const (
	// A reader takes no further request while more than this waits to be written to its client.
	outboxFull = 1 << 20
	// Pushes that the client did not ask for at this moment (wake-ups, watch events) may add up to this; then it is lost.
	outboxBurst = 4 << 20
	// What one write takes, and so the piece that a client must accept within the stall time.
	writePiece = 256 << 10
	// What flush writes itself rather than leave it to run.
	flushAtMost = 64 << 10
)

// outbox holds what is to be written to one connection. Pushing and flushing never block: flush hands to the kernel
// what the kernel takes at once, which is nearly always everything and saves a turn of the scheduler; run writes the rest.
// The outbox of a connection in the loop has no run: the loop hands the connection over when there is a rest.
type outbox struct {
	budget *budget
	stall  time.Duration

	mu      sync.Mutex
	inLoop  *socket // nil: the next two are it
	conn    net.Conn
	raw     syscall.RawConn // nil where conn has none
	changed sync.Cond
	queue   [][]byte
	size    int64
	writing bool // run is at it
	ending  bool // write what is queued, then close
	broken  bool
	reason  error // why it was cut, if not by abort
}

func newOutbox(b *budget, stall time.Duration) *outbox {
	o := &outbox{budget: b, stall: stall}
	o.changed.L = &o.mu
	return o
}

// use has the outbox write to conn, for which run is about to start.
func (o *outbox) use(conn net.Conn) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.inLoop, o.conn = nil, conn
	if c, ok := conn.(syscall.Conn); ok {
		o.raw, _ = c.SyscallConn()
	}
	if o.broken {
		conn.Close() // while the connection changed hands
	}
}

// push queues m, for a flush that has to follow. A client that has let too much pile up is cut off.
func (o *outbox) push(m message) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ending || o.broken {
		return
	}
	if o.size > outboxBurst {
		o.cut(fmt.Errorf("%d bytes wait for a client that does not read", o.size))
		return
	}
	if !o.budget.take(m.size) {
		o.cut(fmt.Errorf("an answer of %d bytes: %w", m.size, errMemory))
		return
	}
	o.queue = append(o.queue, m.bufs...)
	o.size += m.size
}

// flush writes what can be written without waiting, and wakes run, or the loop, for the rest.
func (o *outbox) flush() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.broken || len(o.queue) == 0 {
		return
	}
	if !o.writing && o.size <= flushAtMost && o.writeAtOnce() {
		return
	}
	if o.inLoop != nil {
		o.inLoop.awaitWritable()
	}
	o.changed.Broadcast()
}

// writeAtOnce reports whether everything that is queued was written.
func (o *outbox) writeAtOnce() bool {
	for len(o.queue) > 0 {
		n := o.writeNow()
		if n <= 0 {
			return false // run will wait, or learn for good what is wrong
		}
		o.size -= int64(n)
		o.budget.give(int64(n))
		done := 0
		for done < len(o.queue) && n >= len(o.queue[done]) {
			n -= len(o.queue[done])
			done++
		}
		o.queue = slices.Delete(o.queue, 0, done) // keeps its array for the next answer
		if len(o.queue) > 0 {
			o.queue[0] = o.queue[0][n:]
		}
	}
	return true
}

// writeNow gives how many bytes the kernel took, none or less where it takes nothing now.
func (o *outbox) writeNow() (n int) {
	switch {
	case o.inLoop != nil:
		return writePieces(uintptr(o.inLoop.fd), o.queue)
	case o.raw != nil:
		o.raw.Write(func(fd uintptr) bool {
			n = writePieces(fd, o.queue)
			return true // also where the kernel takes nothing: not to wait
		})
	}
	return n
}

// left reports whether anything waits to be written, or can be no more.
func (o *outbox) left() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.size > 0 || o.broken
}

// awaitRoom blocks while too much is queued. It reports whether the connection is still usable.
func (o *outbox) awaitRoom() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.size > outboxFull && !o.broken {
		o.changed.Wait()
	}
	return !o.broken
}

// end lets run write what is queued, close the connection and return.
func (o *outbox) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ending = true
	o.changed.Broadcast()
}

// abort closes the connection at once, or has the loop close it.
func (o *outbox) abort() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.cut(nil)
}

func (o *outbox) cut(reason error) {
	if o.broken {
		return
	}
	o.broken, o.reason = true, reason
	o.budget.give(o.size)
	o.size, o.queue = 0, nil
	if o.inLoop != nil {
		o.inLoop.shut()
	} else {
		o.conn.Close()
	}
	o.changed.Broadcast()
}

// why says for what the client was cut off, nil if it was not or was told to go.
func (o *outbox) why() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.reason
}

// run writes until end or abort, or until the client takes nothing for the stall time. The connection is closed then.
func (o *outbox) run() {
	for {
		piece, n := o.next()
		if n == 0 {
			o.abort()
			return
		}
		o.conn.SetWriteDeadline(time.Now().Add(o.stall))
		_, err := piece.WriteTo(o.conn)
		o.conn.SetWriteDeadline(time.Time{}) // flush knows no deadline
		o.wrote(n, err)
	}
}

// next waits for a piece to write; its size is 0 when there will be none.
func (o *outbox) next() (net.Buffers, int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.queue) == 0 && !o.ending && !o.broken {
		o.changed.Wait()
	}
	o.writing = true
	var piece net.Buffers
	var n int64
	for len(o.queue) > 0 && n < writePiece {
		b := o.queue[0]
		if room := int(writePiece - n); len(b) > room {
			piece = append(piece, b[:room])
			o.queue[0] = b[room:]
			n += int64(room)
			break
		}
		piece = append(piece, b)
		o.queue[0] = nil
		o.queue = o.queue[1:]
		n += int64(len(b))
	}
	return piece, n
}

func (o *outbox) wrote(n int64, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.writing = false
	if err != nil {
		o.cut(err)
	}
	if o.broken {
		return
	}
	o.size -= n
	o.budget.give(n)
	o.changed.Broadcast()
}
