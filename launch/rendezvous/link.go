package rendezvous

import (
	"bufio"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"ainexus.io/launch/elastic"
)

// link is an authenticated connection to one agent.
type link struct {
	conn    net.Conn
	r       *bufio.Reader
	out, in *sealer
	dialled bool // by us
	box     chan elastic.Message
	quit    chan struct{}
	once    sync.Once
	written chan struct{} // closed when nothing is written any more
	failed  error         // of writing; to be read after that
}

// boxSize is how many messages may wait for a link: far more than a meeting ever has to say at once.
const boxSize = 64

// beatMessage is a frame that says nothing.
const beatMessage = elastic.Kind("beat")

func newLink(conn net.Conn, r *bufio.Reader, out, in *sealer, dialled bool) *link {
	return &link{conn: conn, r: r, out: out, in: in, dialled: dialled, box: make(chan elastic.Message, boxSize), quit: make(chan struct{}), written: make(chan struct{})}
}

// send queues a message; a link that takes none any more is closed.
func (l *link) send(m elastic.Message) {
	select {
	case l.box <- m:
	default:
		l.close()
	}
}

// close ends the link at once.
func (l *link) close() {
	l.once.Do(func() {
		close(l.quit)
		l.conn.Close()
	})
}

// retire lets what is queued be written and the other side read it, and then ends the link.
func (l *link) retire() {
	select {
	case l.box <- elastic.Message{}: // a message of no kind: the last one
	default:
		l.close()
	}
}

// write writes messages and beats until the link ends.
func (l *link) write(t Timing) {
	defer close(l.written)
	beat := time.NewTicker(t.Beat)
	defer beat.Stop()
	for {
		m := elastic.Message{Kind: beatMessage}
		select {
		case <-l.quit:
			return
		case m = <-l.box:
		case <-beat.C:
		}
		if m.Kind == "" {
			if half, ok := l.conn.(*net.TCPConn); ok {
				half.CloseWrite()
			}
			select {
			case <-l.quit:
			case <-time.After(2 * time.Second):
				l.close()
			}
			return
		}
		frame, err := encode(m, l.out)
		if err == nil {
			l.conn.SetWriteDeadline(time.Now().Add(t.Stuck))
			_, err = l.conn.Write(frame)
		}
		if err != nil {
			l.failed = err
			l.close()
			return
		}
	}
}

// listen hands on what the other side says until the link ends, and returns how it ended.
func (l *link) listen(t Timing, got func(elastic.Message)) elastic.How {
	for {
		l.conn.SetReadDeadline(time.Now().Add(t.Stuck))
		var m elastic.Message
		if err := read(l.r, memberFrame, l.in, &m); err != nil {
			l.close()
			// The kernel tells an error once. Where the writer was told that the other side is silent, the reader finds
			// nothing but the end, which from a living kernel would mean that the process is gone.
			<-l.written
			if l.failed != nil && !errors.Is(l.failed, net.ErrClosed) && howOf(l.failed) == elastic.Silent {
				return elastic.Silent
			}
			if errors.Is(err, net.ErrClosed) && l.failed != nil {
				err = l.failed
			}
			return howOf(err)
		}
		if m.Kind != beatMessage {
			got(m)
		}
	}
}

// howOf reads an error. Only the other side's kernel can end or reset a connection; everything else is silence.
func howOf(err error) elastic.How {
	for _, reset := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, reset) {
			return elastic.Reset
		}
	}
	return elastic.Silent
}
