package train

import (
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// progress is what a rank tells the launcher about its last step.
type progress struct {
	Rank       int                `json:"rank"`
	Step       int64              `json:"step"`
	TotalSteps int64              `json:"total_steps,omitempty"`
	Epoch      int                `json:"epoch,omitempty"`
	Time       float64            `json:"time"` // unix seconds
	Loss       *float64           `json:"loss,omitempty"`
	Metrics    map[string]float64 `json:"metrics,omitempty"`
	Own        float64            `json:"own_seconds,omitempty"` // median of the steps since the last write; see [pace]
}

// progressEvery bounds how often the file is replaced.
const progressEvery = 200 * time.Millisecond

// progressFile replaces a small file, at most five times a second; the last word is always written.
type progressFile struct {
	path string
	log  *slog.Logger

	mu      sync.Mutex
	last    time.Time // of the last write
	pending *progress
	own     []time.Duration // of the steps since the last write, at most as many as say something
	timer   *time.Timer     // writes what is pending
	wrong   bool            // a write failed, and it was said
	closed  bool
}

// newProgressFile returns a file that does nothing if there is no path.
func newProgressFile(path string, log *slog.Logger) *progressFile {
	f := &progressFile{path: path, log: log}
	f.timer = time.AfterFunc(time.Hour, f.flush)
	f.timer.Stop()
	return f
}

// put reports p, now or soon. Own is how long this rank worked before the collectives of the step; 0: unknown.
func (f *progressFile) put(p progress, own time.Duration) {
	if f.path == "" {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	waiting := f.pending != nil
	f.pending = &p
	if own > 0 && len(f.own) < 1000 {
		f.own = append(f.own, own)
	}
	if wait := progressEvery - time.Since(f.last); wait > 0 {
		if !waiting {
			f.timer.Reset(wait)
		}
		return
	}
	f.writeLocked()
}

func (f *progressFile) flush() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed {
		f.writeLocked()
	}
}

// close writes what is pending.
func (f *progressFile) close() {
	f.timer.Stop()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	f.writeLocked()
}

// writeLocked replaces the file. Progress is a hint: a failure is told once and does not stop the training.
func (f *progressFile) writeLocked() {
	if f.pending == nil {
		return
	}
	if len(f.own) > 0 { // the median: a pause of one step says nothing about the rank
		slices.Sort(f.own)
		f.pending.Own, f.own = f.own[len(f.own)/2].Seconds(), f.own[:0]
	}
	err := replaceJSON(f.path, f.pending, false)
	f.pending, f.last = nil, time.Now()
	if err != nil && !f.wrong {
		f.wrong = true
		f.log.Warn("progress cannot be reported", "path", f.path, "err", err)
	}
}

// replaceJSON puts value at path by rename; durable waits for the disk.
func replaceJSON(path string, value any, durable bool) (err error) {
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(file.Name())
		}
	}()
	_, err = file.Write(append(data, '\n'))
	if err == nil && durable {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err = os.Rename(file.Name(), path); err != nil || !durable {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
