package collective

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// link joins this rank to one neighbour.
type link struct {
	peer    int
	data    *net.TCPConn // collectives only
	control *net.TCPConn // messages only
	sending sync.Mutex   // serialises tell
	left    atomic.Bool  // the peer said goodbye

	head [headerSize]byte // of the collective being read
	out  [headerSize]byte // of the collective being written
	vec  [2][]byte
	bufs net.Buffers
}

// message is what goes over a control connection: exactly one field is set.
type message struct {
	Verdict *verdict `json:"verdict,omitempty"`
	Ask     *inquiry `json:"ask,omitempty"`
	Answer  *answer  `json:"answer,omitempty"`
	Bye     bool     `json:"bye,omitempty"`
}

const (
	maxMessage = 1 << 20
	// tellLimit bounds a control write; a stopped peer's buffer takes many messages before it is reached.
	tellLimit = 500 * time.Millisecond
)

// tell sends a message. Its loss is seen by the reader of the same connection, so there is no error to return.
func (l *link) tell(m message) {
	body, err := json.Marshal(m)
	if err != nil {
		panic(err) // a message is made of numbers and strings
	}
	frame := binary.LittleEndian.AppendUint32(make([]byte, 0, 4+len(body)), uint32(len(body)))
	l.sending.Lock()
	defer l.sending.Unlock()
	l.control.SetWriteDeadline(time.Now().Add(tellLimit))
	l.control.Write(append(frame, body...))
}

// hear reads the next message.
func (l *link) hear() (message, error) {
	var size [4]byte
	var m message
	if _, err := io.ReadFull(l.control, size[:]); err != nil {
		return m, err
	}
	n := binary.LittleEndian.Uint32(size[:])
	if n > maxMessage {
		return m, fmt.Errorf("control message of %d bytes", n)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(l.control, body); err != nil {
		return m, err
	}
	err := json.Unmarshal(body, &m)
	return m, err
}

// close ends both connections; what was written before still arrives.
func (l *link) close() {
	l.data.Close()
	l.control.CloseWrite()
	l.control.Close()
}

// write sends the header, if there is one, and a payload.
func (l *link) write(h *header, payload []byte) error {
	if h == nil {
		if _, err := l.data.Write(payload); err != nil {
			return &linkError{l.peer, err}
		}
		return nil
	}
	h.put(l.out[:])
	l.vec = [2][]byte{l.out[:], payload}
	l.bufs = l.vec[:]
	_, err := l.bufs.WriteTo(l.data)
	l.vec = [2][]byte{}
	if err != nil {
		return &linkError{l.peer, err}
	}
	return nil
}

// readFull fills buf.
func (l *link) readFull(buf []byte) error {
	if len(buf) == 0 {
		return nil
	}
	if _, err := io.ReadFull(l.data, buf); err != nil {
		return l.broke(err)
	}
	return nil
}

// readSome returns what is there, at least one byte.
func (l *link) readSome(buf []byte) (int, error) {
	n, err := l.data.Read(buf)
	if n > 0 {
		return n, nil
	}
	return 0, l.broke(err)
}

func (l *link) broke(err error) error {
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("connection closed")
	}
	return &linkError{l.peer, err}
}

// expect reads the header of the next collective on this link; the peer must be in the same one.
func (g *Group) expect(l *link) error {
	if err := l.readFull(l.head[:]); err != nil {
		return err
	}
	return g.same(l, l.head[:])
}

// same compares a peer's header with ours.
func (g *Group) same(l *link, head []byte) error {
	if theirs, ok := parseHeader(head); ok && theirs == g.current {
		return nil
	}
	return g.differs(l.peer, head)
}

// differs breaks the group over a header that is not ours. Ranks that disagree are a bug in the program, told on every
// rank.
func (g *Group) differs(peer int, head []byte) error {
	theirs, ok := parseHeader(head)
	v := mismatch(g.rank, g.current.String(), peer, theirs.String())
	if !ok {
		v.Reason = fmt.Sprintf("rank %d sent no header to rank %d", peer, g.rank)
	}
	g.fail(v, nil)
	<-g.broken
	return g.Err()
}
