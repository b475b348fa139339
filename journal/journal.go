package journal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"ainexus.io/nexus"
)

// Options say where a journal lies and how much of it is kept.
type Options struct {
	Dir string // is made if it does not exist
	// Files is how many are kept, the open one included; 0 means 8.
	Files int
	// Size is when a file is full, in bytes; 0 means 64 MiB.
	Size int64
	// Every is how long a file goes on before the next begins, with a snapshot; 0 means 10 minutes.
	Every time.Duration
}

// Line is one line of a journal.
type Line struct {
	Cycle   uint64       `json:"cycle"`
	Delta   *nexus.Delta `json:"delta,omitempty"` // left out where the snapshot says it all
	Plan    nexus.Plan   `json:"plan"`
	Dropped []string     `json:"dropped,omitempty"` // jobs whose decisions were not carried out
	// Snapshot is the whole picture, decisions counted as carried out: in the first line of each file.
	Snapshot *nexus.Snapshot `json:"snapshot,omitempty"`
}

// Journal writes lines. It is safe for concurrent use.
type Journal struct {
	opts Options
	log  *slog.Logger

	mu     sync.Mutex
	file   *os.File
	size   int64
	began  time.Time // the plan's clock
	last   uint64    // number of the newest file
	broken bool      // the disk failed, and that was told
	closed bool
}

// prefix and suffix of a file's name; between them is its number, so that names sort by age.
const (
	prefix = "journal-"
	suffix = ".jsonl"
)

// Open returns a journal. It fails only where the directory cannot be made or read; later trouble with
// the disk is logged.
func Open(o Options, log *slog.Logger) (*Journal, error) {
	if o.Files <= 0 {
		o.Files = 8
	}
	if o.Size <= 0 {
		o.Size = 64 << 20
	}
	if o.Every <= 0 {
		o.Every = 10 * time.Minute
	}
	j := &Journal{opts: o, log: log.With("component", "journal")}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the journal's directory: %w", err)
	}
	names, err := j.names()
	if err != nil {
		return nil, fmt.Errorf("reading the journal's directory: %w", err)
	}
	if len(names) > 0 {
		fmt.Sscanf(filepath.Base(names[len(names)-1]), prefix+"%d"+suffix, &j.last)
	}
	return j, nil
}

// Observe writes a cycle down. snapshot is called where a new file begins.
func (j *Journal) Observe(c nexus.Cycle, snapshot func() nexus.Snapshot) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return
	}
	err := j.write(c, snapshot)
	switch {
	case err != nil && !j.broken:
		j.log.Error("the journal cannot be written; jobs are not concerned", "error", err)
	case err == nil && j.broken:
		j.log.Info("the journal is written again")
	}
	j.broken = err != nil
	if err != nil {
		j.drop() // the next line that can be written begins a new file
	}
}

func (j *Journal) write(c nexus.Cycle, snapshot func() nexus.Snapshot) error {
	line := Line{Cycle: c.Number, Plan: c.Plan, Dropped: c.Dropped}
	if !c.Delta.Full {
		line.Delta = &c.Delta
	}
	if j.file != nil && (j.size >= j.opts.Size || c.Plan.At.Sub(j.began) >= j.opts.Every) {
		j.drop()
	}
	if j.file == nil {
		if err := j.begin(c.Plan.At); err != nil {
			return err
		}
	}
	if j.size == 0 || c.Delta.Full {
		whole := snapshot()
		line.Snapshot = &whole
	}
	return j.add(line)
}

// begin opens the next file and forgets the oldest.
func (j *Journal) begin(at time.Time) error {
	names, err := j.names()
	if err != nil {
		return err
	}
	for len(names) >= j.opts.Files {
		if err := os.Remove(names[0]); err != nil {
			return err
		}
		names = names[1:]
	}
	name := filepath.Join(j.opts.Dir, fmt.Sprintf("%s%012d%s", prefix, j.last+1, suffix))
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	j.file, j.size, j.began, j.last = f, 0, at, j.last+1
	return nil
}

func (j *Journal) add(l Line) error {
	var line bytes.Buffer
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(l); err != nil {
		return err
	}
	n, err := j.file.Write(line.Bytes())
	j.size += int64(n)
	return err
}

// names lists the journal's files, the oldest first.
func (j *Journal) names() ([]string, error) {
	entries, err := os.ReadDir(j.opts.Dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if ok, _ := filepath.Match(prefix+"*"+suffix, e.Name()); ok {
			names = append(names, filepath.Join(j.opts.Dir, e.Name()))
		}
	}
	slices.Sort(names)
	return names, nil
}

func (j *Journal) drop() {
	if j.file != nil {
		j.file.Close() // every line was written whole, or that was told
		j.file = nil
	}
}

// Close ends the journal. What comes later is not written.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.closed = true
	if j.file == nil {
		return nil
	}
	err := j.file.Close()
	j.file = nil
	return err
}
