package proc

import (
	"errors"
	"io"
	"os"
	"time"
)

// Sink is where a process's output goes; each part may be nil.
type Sink struct {
	Log    io.Writer // every byte as it is; usually a [LogFile]
	Tail   *Tail     // the last lines
	Live   *Live     // the lines as they come, behind Prefix
	Prefix string
}

// Capture copies what comes out of a pipe into a [Sink].
type Capture struct {
	read, write *os.File
	done        chan struct{}
	last        chan struct{} // closed when only what lies in the pipe already is wanted
}

// NewCapture begins to copy. The memory it takes is bounded whatever is written.
func NewCapture(sink Sink) (*Capture, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	widen(write)
	c := &Capture{read: read, write: write, done: make(chan struct{}), last: make(chan struct{})}
	go c.copy(sink)
	return c, nil
}

// File is the end of the pipe that the process gets as its output.
func (c *Capture) File() *os.File { return c.write }

// Started is called when the process has its end (or will never have): ours is closed.
func (c *Capture) Started() { c.write.Close() }

// lull is how long an open pipe has to be empty to count as finished.
const lull = 50 * time.Millisecond

// Wait waits for the last byte. Somebody who escaped may hold the pipe open: after patience only what lies in it
// already is still copied. Wait is called once.
func (c *Capture) Wait(patience time.Duration) {
	select {
	case <-c.done:
		return
	case <-time.After(patience):
	}
	close(c.last)
	c.read.SetReadDeadline(time.Now()) // wakes the reader
	<-c.done
}

func (c *Capture) copy(sink Sink) {
	defer close(c.done)
	defer c.read.Close()
	lines := &splitter{emit: func(line []byte, passing bool) {
		if sink.Tail != nil && !passing {
			sink.Tail.Add(line)
		}
		if sink.Live != nil {
			sink.Live.Line(sink.Prefix, line)
		}
	}}
	defer lines.flush()
	buf := make([]byte, 32<<10)
	for final := false; ; {
		select {
		case <-c.last:
			final = true
			c.read.SetReadDeadline(time.Now().Add(lull))
		default:
		}
		n, err := c.read.Read(buf)
		if n > 0 {
			if sink.Log != nil {
				sink.Log.Write(buf[:n])
			}
			lines.Write(buf[:n])
		}
		if err != nil && (final || !errors.Is(err, os.ErrDeadlineExceeded)) {
			return
		}
	}
}
