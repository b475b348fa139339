package cli

import (
	"fmt"
	"io"
	"sync"

	"golang.org/x/term"
)

// screen is where lines go by and, on a terminal, one line of status stays below them. Its lines are clean.
type screen struct {
	mu       sync.Mutex
	out      io.Writer
	terminal bool
	width    func() int
	safe     func(string) string // makes a line of output fit to be shown
	status   string
}

func (p *program) newScreen() *screen {
	s := &screen{out: p.out, terminal: p.terminal, safe: p.logLine, width: func() int { return 80 }}
	if f, ok := p.out.(interface{ Fd() uintptr }); ok && p.terminal {
		s.width = func() int {
			if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 20 {
				return w
			}
			return 80
		}
	}
	return s
}

// line lets a line go by.
func (s *screen) line(format string, args ...any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := fmt.Sprintf(format, args...) + "\n"
	if s.status != "" {
		text = "\r\x1b[K" + text + s.status
	}
	_, err := io.WriteString(s.out, text)
	return err
}

// show puts the line of status below; empty takes it away. Where out is no terminal there is none.
func (s *screen) show(status string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.terminal {
		return
	}
	if runes := []rune(status); len(runes) >= s.width() {
		status = string(runes[:s.width()-1])
	}
	if status == s.status {
		return
	}
	s.status = status
	fmt.Fprint(s.out, "\r\x1b[K"+status)
}
