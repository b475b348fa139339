package proc

import (
	"slices"
	"sync"
)

const (
	tailLines = 20
	tailWidth = 2 << 10 // bytes kept of a line
)

// Tail keeps the last lines that somebody wrote, at most 20 of 2 KiB.
type Tail struct {
	mu    sync.Mutex
	lines [][]byte // a ring once it is full
	next  int      // the oldest of a full ring
}

// Add appends a line without its end. In the long run it allocates nothing.
func (t *Tail) Add(line []byte) {
	line = line[:min(len(line), tailWidth)]
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.lines) < tailLines {
		t.lines = append(t.lines, slices.Clone(line))
		return
	}
	t.lines[t.next] = append(t.lines[t.next][:0], line...)
	t.next = (t.next + 1) % tailLines
}

// Lines returns the kept lines, [Sanitize]d, oldest first.
func (t *Tail) Lines() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var lines []string
	for i := range t.lines {
		lines = append(lines, Sanitize(string(t.lines[(t.next+i)%len(t.lines)])))
	}
	return lines
}
