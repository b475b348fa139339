package cli

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// maxLine is where a line without an end is cut.
const maxLine = 64 << 10

// lines cuts a stream into lines and hands each on without its end.
type lines struct {
	to   func(string) error
	rest []byte
}

func (l *lines) Write(data []byte) (int, error) {
	n := len(data)
	for {
		i := bytes.IndexByte(data, '\n')
		if i < 0 {
			break
		}
		line := append(l.rest, data[:i]...)
		l.rest, data = l.rest[:0], data[i+1:]
		if err := l.to(string(line)); err != nil {
			return 0, err
		}
	}
	l.rest = append(l.rest, data...)
	if len(l.rest) > maxLine {
		return n, l.finish()
	}
	return n, nil
}

// finish hands on a last line that has no end.
func (l *lines) finish() error {
	if len(l.rest) == 0 {
		return nil
	}
	line := string(l.rest)
	l.rest = l.rest[:0]
	return l.to(line)
}

// print writes one line that is clean already.
func (p *program) print(line string) error {
	_, err := fmt.Fprintln(p.out, line)
	return err
}

// interruptible is a context that Ctrl-C and TERM end.
func interruptible(ctx context.Context) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
}
