package proc

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"sync"
)

// The bounds of a log where nobody says: two files of 64 MiB.
const (
	DefaultLogSize  = 64 << 20
	DefaultLogFiles = 2
)

// Unbounded is a [LogOptions.Size] at which no file is ever full.
const Unbounded = -1

// LogOptions are the settings of [OpenLog].
type LogOptions struct {
	Size  int64 // when a file is full, in bytes; 0: [DefaultLogSize]
	Files int   // how many files are kept, with the one that is being written; 0: [DefaultLogFiles]
	// Trouble is told the first time that something cannot be kept, while it is being written; nil: nobody is.
	Trouble func(error)
}

// Rotated is what the n-th file before the one at path is called: R.log, R.log.1, R.log.2 ...
func Rotated(path string, n int) string {
	if n == 0 {
		return path
	}
	return path + "." + strconv.Itoa(n)
}

// LogFile keeps the newest output: a full file is moved aside, the oldest one goes, and a new one begins. It never blocks its
// writer for want of space and reports no error to it: what cannot be written is dropped, which is told, and where there is room
// again the file says how much is missing.
type LogFile struct {
	path    string
	size    int64
	files   int
	trouble func(error)

	mu     sync.Mutex
	file   *os.File // nil: it could not be opened again
	length int64
	lost   int64 // bytes since the last one that was kept
	told   bool
	closed bool
}

// OpenLog opens path for appending, so that who else appends loses nothing.
func OpenLog(path string, o LogOptions) (*LogFile, error) {
	l := &LogFile{path: path, size: o.Size, files: o.Files, trouble: o.Trouble}
	if l.size == 0 {
		l.size = DefaultLogSize
	}
	if l.files <= 0 {
		l.files = DefaultLogFiles
	}
	return l, l.open()
}

func (l *LogFile) open() error {
	file, err := os.OpenFile(l.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return err
	}
	l.file, l.length = file, info.Size()
	return nil
}

// Write appends p and reports no error: output that cannot be kept is no reason to stop a job.
func (l *LogFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return len(p), nil
	}
	if l.size > 0 && l.length > 0 && l.length+int64(len(p)) > l.size {
		l.rotate()
	}
	if l.file == nil {
		l.note(l.open())
	}
	if l.file == nil {
		l.lost += int64(len(p))
		return len(p), nil
	}
	if l.lost > 0 && l.put(fmt.Appendf(nil, "\n[nexus] %d bytes are missing here: they could not be written\n", l.lost)) > 0 {
		l.lost += int64(len(p))
		return len(p), nil
	}
	l.lost = l.put(p)
	return len(p), nil
}

// put writes to the file and tells how many bytes that did not take.
func (l *LogFile) put(p []byte) (missed int64) {
	n, err := l.file.Write(p)
	l.length += int64(n)
	l.note(err)
	return int64(len(p) - n)
}

// rotate moves every file one place on; the last one goes.
func (l *LogFile) rotate() {
	if l.file != nil {
		l.note(l.file.Close())
		l.file = nil
	}
	l.length = 0
	if l.files == 1 {
		l.note(os.Remove(l.path))
		return
	}
	for n := l.files - 1; n > 0; n-- {
		if err := os.Rename(Rotated(l.path, n-1), Rotated(l.path, n)); !errors.Is(err, fs.ErrNotExist) {
			l.note(err)
		}
	}
}

func (l *LogFile) note(err error) {
	if err == nil || l.told {
		return
	}
	l.told = true
	if l.trouble != nil {
		l.trouble(err)
	}
}

// Close closes the file. What is written afterwards is dropped.
func (l *LogFile) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	return err
}
