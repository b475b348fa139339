package proc

import (
	"bytes"
	"fmt"
	"io"
	"sync"
	"time"
)

const (
	liveBuffer   = 256 << 10
	livePatience = time.Second
	liveStall    = 10 * time.Second // after which a wait is worth a word
)

// Live shows lines of several processes on one writer, each whole. A slow writer costs a bounded buffer:
// then the lines' owners wait or, with Drop, lose lines, which is told.
type Live struct {
	w       io.Writer
	drop    bool
	stalled func() // once, from a goroutine of its own; nil when it was called
	stall   time.Duration

	mu      sync.Mutex
	changed *sync.Cond // space or lines came, or the end
	lines   []byte
	lost    int
	behind  bool // the writer has been too slow for as long as we were patient
	closed  bool
	done    chan struct{}
}

// NewLive begins to show lines on w. With drop a writer that takes nothing for a second loses lines, as befits a
// terminal; without it every line arrives, as befits a file, and the processes wait; stalled, which may be nil, is called the
// first time that one of them has waited for ten seconds.
func NewLive(w io.Writer, drop bool, stalled func()) *Live {
	l := &Live{w: w, drop: drop, stalled: stalled, stall: liveStall, done: make(chan struct{})}
	l.changed = sync.NewCond(&l.mu)
	go l.copy()
	return l
}

// Line shows prefix and line, [Sanitize]d, with a newline.
func (l *Live) Line(prefix string, line []byte) {
	if !plain(line) {
		line = []byte(Sanitize(string(line)))
	}
	length := len(prefix) + len(line) + 1
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.lines)+length > liveBuffer && len(l.lines) > 0 {
		l.waitForSpace(length)
	}
	if l.closed {
		return
	}
	if l.drop && len(l.lines) > 0 && len(l.lines)+length > liveBuffer {
		l.lost++
		return
	}
	if l.lost > 0 {
		l.lines = fmt.Appendf(l.lines, "[nexus] %d lines were not shown: the terminal was too slow for them\n", l.lost)
		l.lost = 0
	}
	first := len(l.lines) == 0
	l.lines = append(append(append(l.lines, prefix...), line...), '\n')
	if first {
		l.changed.Broadcast()
	}
}

// waitForSpace waits for ever, or, where lines may be dropped, for as long as there is patience left.
func (l *Live) waitForSpace(need int) {
	if l.drop && l.behind {
		return
	}
	if l.drop {
		timer := time.AfterFunc(livePatience, func() {
			l.mu.Lock()
			l.behind = true
			l.mu.Unlock()
			l.changed.Broadcast()
		})
		defer timer.Stop()
	}
	if !l.drop && l.stalled != nil {
		timer := time.AfterFunc(l.stall, func() {
			l.mu.Lock()
			say := l.stalled
			l.stalled = nil
			l.mu.Unlock()
			if say != nil {
				say()
			}
		})
		defer timer.Stop()
	}
	for !l.closed && len(l.lines) > 0 && len(l.lines)+need > liveBuffer && !(l.drop && l.behind) {
		l.changed.Wait()
	}
}

// copy writes what has come together, until Close.
func (l *Live) copy() {
	defer close(l.done)
	var out []byte
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		for len(l.lines) == 0 && !l.closed {
			l.changed.Wait()
		}
		if len(l.lines) == 0 {
			return
		}
		out, l.lines = l.lines, out[:0]
		l.behind = false
		l.changed.Broadcast()
		l.mu.Unlock()
		_, err := l.w.Write(out)
		l.mu.Lock()
		if err != nil { // nobody reads any more: the processes go on
			l.closed, l.lines = true, nil
			l.changed.Broadcast()
			return
		}
	}
}

// Close shows what is left, for at most patience, and reports whether all of it was shown.
func (l *Live) Close(patience time.Duration) bool {
	l.mu.Lock()
	if l.lost > 0 {
		l.lines = fmt.Appendf(l.lines, "[nexus] %d lines were not shown: the terminal was too slow for them\n", l.lost)
		l.lost = 0
	}
	l.closed = true
	l.changed.Broadcast()
	l.mu.Unlock()
	select {
	case <-l.done:
		return true
	case <-time.After(patience):
		return false
	}
}

// lineWidth is how much of a line is shown; the log file has all of it.
const lineWidth = 64 << 10

// splitter cuts a stream into lines of bounded length. A line that a carriage return ends is a progress
// bar's: of these at most one a second is passed on.
type splitter struct {
	line  []byte
	cut   bool // the rest of this line is not kept
	shown time.Time
	emit  func(line []byte, passing bool)
}

func (s *splitter) Write(p []byte) {
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		if r := bytes.IndexByte(p[:max(i, 0)], '\r'); r >= 0 {
			i = r
		} else if i < 0 {
			i = bytes.IndexByte(p, '\r')
		}
		if i < 0 {
			s.add(p)
			return
		}
		s.add(p[:i])
		if p[i] == '\n' {
			s.end(false)
		} else if i+1 < len(p) && p[i+1] == '\n' {
			i++
			s.end(false)
		} else {
			s.end(true)
		}
		p = p[i+1:]
	}
}

func (s *splitter) add(p []byte) {
	if room := lineWidth - len(s.line); len(p) > room {
		s.cut = true
		p = p[:max(0, room)]
	}
	s.line = append(s.line, p...)
}

// end passes the line on. An empty one after a carriage return was the second half of "\r\n".
func (s *splitter) end(passing bool) {
	if passing && (len(s.line) == 0 || time.Since(s.shown) < time.Second) {
		s.reset()
		return
	}
	if passing {
		s.shown = time.Now()
	}
	if s.cut {
		s.line = append(s.line, " [cut at 64 KiB]"...)
	}
	s.emit(s.line, passing)
	s.reset()
}

func (s *splitter) reset() {
	s.cut = false
	if cap(s.line) > 4<<10 {
		s.line = nil // long lines are rare: do not keep their memory
	}
	s.line = s.line[:0]
}

// flush passes on a last line that nobody ended.
func (s *splitter) flush() {
	if len(s.line) > 0 {
		s.end(false)
	}
}
