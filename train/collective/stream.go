package collective

import "sync/atomic"

// scratchSize is the most that is read before it is added up: small enough to stay in the processor's cache.
const scratchSize = 256 << 10

// stream is the sending half of a ring collective. What a rank sends is its own part followed by what it receives,
// so sending needs to know no more than how far receiving has come: position by position, a pipeline without chunks.
type stream struct {
	g        *Group
	lap      lap
	ready    atomic.Int64  // bytes of the stream that may be sent
	sent     atomic.Int64  // bytes that were
	more     chan struct{} // ready grew
	progress chan struct{} // sent grew
	start    chan struct{}
	finished chan error
}

// lap is one trip around the ring over a buffer of size parts.
type lap struct {
	circle *circle
	head   header
	buf    []byte
	unit   int // bytes per element
	size   int // places
	first  int // the part that this rank sends first
	folds  int // parts that are folded on arrival; the others replace what was there
	steps  int // parts received, as many as sent
	fold   fold
}

// part returns the bytes of the k-th part that is sent; the k-th received is the k+1-th sent.
func (r *lap) part(k int) (lo, hi int) {
	lo, hi = span(len(r.buf)/r.unit, r.size, ((r.first-k)%r.size+r.size)%r.size)
	return lo * r.unit, hi * r.unit
}

func newStream(g *Group) *stream {
	return &stream{
		g: g, more: make(chan struct{}, 1), progress: make(chan struct{}, 1),
		start: make(chan struct{}, 1), finished: make(chan error, 1),
	}
}

// serve sends for one lap after another.
func (s *stream) serve() {
	for {
		select {
		case <-s.g.closed:
			return
		case <-s.start:
			s.finished <- s.g.settled(s.send())
		}
	}
}

// run sends and receives one lap.
func (s *stream) run(r lap) error {
	s.lap = r
	lo, hi := r.part(0)
	s.ready.Store(int64(hi - lo))
	s.sent.Store(0)
	nudgeOff(s.more)
	nudgeOff(s.progress)
	s.start <- struct{}{}
	err := s.receive()
	if err != nil {
		err = s.g.settled(err) // breaks the group, which wakes the sender
	}
	if sendErr := <-s.finished; err == nil {
		err = sendErr
	}
	s.lap = lap{}
	return err
}

// send writes the stream as it becomes ready.
func (s *stream) send() error {
	r, head := &s.lap, &s.lap.head
	pos := int64(0)
	for k := range r.steps {
		lo, hi := r.part(k)
		for lo < hi {
			free := s.ready.Load() - pos
			if free == 0 {
				select {
				case <-s.more:
				case <-s.g.broken:
					return s.g.Err()
				case <-s.g.closed:
					return ErrClosed
				}
				continue
			}
			n := int(min(free, int64(hi-lo)))
			if err := r.circle.next.write(head, r.buf[lo:lo+n]); err != nil {
				return err
			}
			head = nil
			lo += n
			pos += int64(n)
			s.sent.Store(pos)
			nudge(s.progress)
		}
	}
	if head != nil { // nothing to send, yet the peer waits for the header
		return r.circle.next.write(head, nil)
	}
	return nil
}

// receive reads what the previous rank sends, folds or stores it, and lets it be sent on.
func (s *stream) receive() error {
	r, from := &s.lap, s.lap.circle.prev
	if err := s.g.expect(from); err != nil {
		return err
	}
	overwritten := int64(0) // stream bytes whose place the stores have reached
	for k := range r.steps {
		lo, hi := r.part(k + 1)
		if k < r.folds {
			if err := s.foldPart(r.buf[lo:hi], k == r.folds-1); err != nil {
				return err
			}
			continue
		}
		if back := k + 1 - r.size; back >= 0 {
			// This place was the back-th part we sent. It has gone round, so it was sent; the sender's
			// counter says so in a way that the memory model accepts.
			a, b := r.part(back)
			overwritten += int64(b - a)
			if err := s.waitSent(overwritten); err != nil {
				return err
			}
		}
		for lo < hi {
			n, err := from.readSome(r.buf[lo:hi])
			if err != nil {
				return err
			}
			lo += n
			s.advance(n)
		}
	}
	return nil
}

// foldPart folds one part as it arrives. The last fold completes it: it is divided where the operation wants that.
func (s *stream) foldPart(dst []byte, last bool) error {
	r, buf, have := &s.lap, s.g.scratch, 0
	for len(dst) > 0 {
		n, err := r.circle.prev.readSome(buf[have:min(len(buf), len(dst))])
		if err != nil {
			return err
		}
		have += n
		whole := have - have%r.unit
		if whole == 0 {
			continue
		}
		r.fold.into(dst[:whole], dst[:whole], buf[:whole])
		if last && r.fold.divide != nil {
			r.fold.divide(dst[:whole], s.g.size)
		}
		have = copy(buf, buf[whole:have])
		dst = dst[whole:]
		s.advance(whole)
	}
	return nil
}

// advance lets n more bytes be sent.
func (s *stream) advance(n int) {
	s.ready.Add(int64(n))
	nudge(s.more)
}

// waitSent waits until pos bytes of the stream were sent.
func (s *stream) waitSent(pos int64) error {
	for s.sent.Load() < pos {
		select {
		case <-s.progress:
		case <-s.g.broken:
			return s.g.Err()
		case <-s.g.closed:
			return ErrClosed
		}
	}
	return nil
}

// nudge wakes the other half, once is enough.
func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func nudgeOff(c chan struct{}) {
	select {
	case <-c:
	default:
	}
}
