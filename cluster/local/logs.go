package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"ainexus.io/api"
	"ainexus.io/attempt"
	"ainexus.io/cluster/local/store"
	"ainexus.io/nexus"
)

// logPause is how often a follower looks for more.
const logPause = 50 * time.Millisecond

// Logs writes a job's output to w as complete lines: what is there, round by round, and with q.Follow what comes until
// the job is over, over all of its attempts unless q names one. Lines are as the workers wrote them.
func (p *Place) Logs(ctx context.Context, ref string, q api.LogQuery, w io.Writer) error {
	id, array, err := p.meant(ctx, ref)
	if err != nil {
		return err
	}
	if array {
		return &nexus.Error{Code: nexus.CodeAmbiguous, Message: fmt.Sprintf("%q is an array of jobs", ref), Hint: "name one of its members, as NAME-0"}
	}
	r, err := p.recordOf(ctx, id)
	if errors.Is(err, store.ErrMissing) {
		return unknown(ref)
	}
	if err != nil {
		return err
	}
	if q.Attempt > r.Job.Attempt {
		return &nexus.Error{Code: nexus.CodeNotFound, Message: fmt.Sprintf("job %s has had %d attempts", id, r.Job.Attempt),
			Hint: "leave the attempt out for the last one"}
	}
	f := &follower{query: q, out: w, files: map[string]*logFile{}}
	for {
		if r, err = p.recordOf(ctx, id); err != nil {
			return err
		}
		n := q.Attempt
		if n == 0 {
			n = r.Job.Attempt
		}
		// Whether more can come is asked before the files are read, so that nothing is missed.
		last := !q.Follow || r.Job.Phase.Over() || q.Attempt > 0 && r.Job.Attempt > q.Attempt || q.Attempt > 0 && r.Job.Phase == nexus.Pending
		if n > 0 {
			if err := f.read(p.dirOf(id, n), n, last || r.Job.Phase == nexus.Pending); err != nil {
				return err
			}
		}
		if last {
			return nil
		}
		rest(ctx, logPause)
		if ctx.Err() != nil {
			return nil
		}
		if p.ctx.Err() != nil {
			return &nexus.Error{Code: nexus.CodeUnavailable, Message: "the daemon is stopping", Hint: "the job runs on; ask again later"}
		}
	}
}

// follower reads the log files of attempts as they grow.
type follower struct {
	query api.LogQuery
	out   io.Writer
	files map[string]*logFile
	first bool
}

// logFile is how far one file was read.
type logFile struct {
	prefix string
	is     os.FileInfo
	offset int64
	part   []byte // a line without its end
}

// read writes what is new. Final says that the files do not grow any more: a last line without its end is written too.
func (f *follower) read(dir attempt.Dir, n int, final bool) error {
	paths, err := f.paths(dir)
	if err != nil {
		return err
	}
	for _, path := range paths {
		if err := f.readFile(path, final); err != nil {
			return err
		}
	}
	f.first = true
	return nil
}

// paths gives the files that the query means, by round and rank.
func (f *follower) paths(dir attempt.Dir) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(string(dir), "logs"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, round := range numbers(entries, "") {
		if f.query.Round >= 0 && round != f.query.Round {
			continue
		}
		if f.query.Setup {
			return []string{dir.SetupLog()}, nil
		}
		files, err := os.ReadDir(dir.LogDir(round))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, rank := range numbers(files, ".log") {
			if f.query.Rank < 0 || rank == f.query.Rank {
				paths = append(paths, dir.WorkerLog(round, rank))
			}
		}
	}
	return paths, nil
}

// numbers gives the entries that are a number and the ending, in order.
func numbers(entries []fs.DirEntry, ending string) []int {
	var list []int
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ending); ok {
			if n, err := strconv.Atoi(name); err == nil && n >= 0 {
				list = append(list, n)
			}
		}
	}
	slices.Sort(list)
	return list
}

// readFile writes what is new in one file. A full file is moved aside and begun anew: what of the old one was not
// read yet comes first.
func (f *follower) readFile(path string, final bool) error {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	prefix := ""
	if f.query.Rank < 0 && !f.query.Setup {
		prefix = "[" + strings.TrimSuffix(filepath.Base(path), ".log") + "] "
	}
	at := f.files[path]
	switch {
	case at == nil:
		at = &logFile{prefix: prefix}
		f.files[path] = at
		if f.query.Tail > 0 && !f.first {
			at.offset, err = tailOffset(file, f.query.Tail)
		} else {
			err = f.readAside(path, at)
		}
	case !os.SameFile(at.is, info):
		err = f.readAside(path, at)
	case info.Size() < at.offset:
		at.offset, at.part = 0, nil
	}
	if err != nil {
		return err
	}
	at.is = info
	if err := f.copy(file, at); err != nil {
		return err
	}
	if final {
		return f.flush(at)
	}
	return nil
}

// readAside writes what is left of the file that was moved aside, and begins the new one.
func (f *follower) readAside(path string, at *logFile) error {
	old, err := os.Open(path + ".1")
	if err == nil {
		defer old.Close()
		err = f.copy(old, at)
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	at.offset = 0
	return err
}

// copy writes the complete lines from where the file was read to.
func (f *follower) copy(file *os.File, at *logFile) error {
	chunk := make([]byte, 64<<10)
	for {
		n, err := file.ReadAt(chunk, at.offset)
		at.offset += int64(n)
		at.part = append(at.part, chunk[:n]...)
		for {
			end := bytes.IndexByte(at.part, '\n')
			if end < 0 && len(at.part) >= maxLine {
				end = len(at.part)
			}
			if end < 0 {
				break
			}
			if _, err := fmt.Fprintf(f.out, "%s%s\n", at.prefix, at.part[:end]); err != nil {
				return err
			}
			at.part = at.part[min(end+1, len(at.part)):]
		}
		if err != nil || n == 0 {
			return nil // the end, or what cannot be read now
		}
	}
}

// flush writes a last line that has no end.
func (f *follower) flush(at *logFile) error {
	if len(at.part) == 0 {
		return nil
	}
	_, err := fmt.Fprintf(f.out, "%s%s\n", at.prefix, at.part)
	at.part = nil
	return err
}

// maxLine is where a line without an end is cut.
const maxLine = 1 << 20

// tailOffset finds where the last lines of a file begin.
func tailOffset(file *os.File, lines int) (int64, error) {
	end, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, err
	}
	chunk := make([]byte, 64<<10)
	seen := 0
	for at := end; at > 0; {
		size := min(at, int64(len(chunk)))
		at -= size
		if _, err := file.ReadAt(chunk[:size], at); err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		for i := size - 1; i >= 0; i-- {
			if chunk[i] != '\n' || at+i == end-1 {
				continue
			}
			if seen++; seen == lines {
				return at + i + 1, nil
			}
		}
	}
	return 0, nil
}
