package proc

import (
	"os"
	"sync"
)

// PreviousSuffix is what a full log is called while a new one is written: R.log and R.log.1.
const PreviousSuffix = ".1"

// DefaultLogSize is when a log file is full.
const DefaultLogSize = 64 << 20

// LogFile keeps the newest output: a full file becomes the previous one, replacing that, and a new one begins, so
// that between one and two files' worth is kept. It never blocks its writer for want of space: what cannot be
// written is dropped, and Err tells.
type LogFile struct {
	path string
	max  int64

	mu   sync.Mutex
	file *os.File
	size int64
	err  error
}

// OpenLog opens path for appending, so that who else appends loses nothing. A file is full at max bytes;
// 0 is [DefaultLogSize].
func OpenLog(path string, max int64) (*LogFile, error) {
	if max <= 0 {
		max = DefaultLogSize
	}
	l := &LogFile{path: path, max: max}
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
	l.file, l.size = file, info.Size()
	return nil
}

// Write appends p and reports no error: output that cannot be kept is no reason to stop a job.
func (l *LogFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return len(p), nil
	}
	if l.size > 0 && l.size+int64(len(p)) > l.max {
		l.rotate()
	}
	if l.file != nil {
		n, err := l.file.Write(p)
		l.size += int64(n)
		l.note(err)
	}
	return len(p), nil
}

// rotate makes the full file the previous one.
func (l *LogFile) rotate() {
	l.note(l.file.Close())
	l.file = nil
	l.note(os.Rename(l.path, l.path+PreviousSuffix))
	l.note(l.open())
}

func (l *LogFile) note(err error) {
	if l.err == nil {
		l.err = err
	}
}

// Err is the first thing that went wrong; nil when everything was kept.
func (l *LogFile) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// Close closes the file. What is written afterwards is dropped.
func (l *LogFile) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	return err
}
