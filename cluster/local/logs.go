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
	defer f.close()
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
	file   openFile // held open, so that no later file can be taken for it
	offset int64
	part   []byte // a line without its end
	over   bool   // it was read to its end for good
}

// begin goes over to a file.
func (at *logFile) begin(file openFile, offset int64) {
	if at.file.File != nil {
		at.file.Close()
	}
	at.file, at.offset = file, offset
}

// read writes what is new. Final says that the files do not grow any more: a last line without its end is written too.
func (f *follower) read(dir attempt.Dir, n int, final bool) error {
	paths, err := f.paths(dir)
	if err != nil {
		return err
	}
	for _, path := range paths {
		over := final || filepath.Dir(path) != filepath.Dir(paths[len(paths)-1]) // of an earlier round nothing comes any more
		if err := f.readFile(path, over); err != nil {
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
		ranks := append(numbers(files, ".log"), numbers(files, ".log"+aside)...) // the one being moved may be missing for an instant
		slices.Sort(ranks)
		for _, rank := range slices.Compact(ranks) {
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

// readFile writes what is new in one log.
func (f *follower) readFile(path string, final bool) (err error) {
	at, begin := f.files[path], int64(0)
	if at != nil && at.over {
		return nil
	}
	files, err := openLog(path)
	if err != nil {
		return err
	}
	switch {
	case at != nil:
		files, err = f.goOn(files, at)
	case len(files) == 0:
		return nil
	default:
		at = &logFile{}
		if f.query.Rank < 0 && !f.query.Setup {
			at.prefix = "[" + strings.TrimSuffix(filepath.Base(path), ".log") + "] "
		}
		f.files[path] = at
		if f.query.Tail > 0 && !f.first {
			files, begin, err = lastLines(files, f.query.Tail)
		}
	}
	for i, file := range files {
		if err != nil {
			closeAll(files[i:])
			return err
		}
		at.begin(file, begin)
		begin = 0
		err = f.copy(at)
	}
	if err == nil && final {
		err = f.flush(at)
		at.file.Close()
		at.over = true
	}
	return err
}

// goOn writes what is left of the file that was being read, and returns those that came after it. Where that one is gone from
// among them, others may have come and gone, too.
func (f *follower) goOn(files []openFile, at *logFile) ([]openFile, error) {
	i := slices.IndexFunc(files, func(file openFile) bool { return os.SameFile(at.file.info, file.info) })
	if i >= 0 && files[i].info.Size() < at.offset { // it was begun anew in place
		at.offset, at.part = 0, nil
	}
	closeAll(files[:i+1])
	files = files[i+1:]
	err := f.copy(at)
	if err == nil && i < 0 {
		at.part = nil
		_, err = fmt.Fprintf(f.out, "%s[nexus] output may be missing here: it was written faster than it was read\n", at.prefix)
	}
	return files, err
}

// close lets go of the files.
func (f *follower) close() {
	for _, at := range f.files {
		at.file.Close()
	}
}

// copy writes the complete lines from where the file was read to.
func (f *follower) copy(at *logFile) error {
	chunk := make([]byte, 64<<10)
	for {
		n, err := at.file.ReadAt(chunk, at.offset)
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
