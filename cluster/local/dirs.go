package local

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"sync"

	"github.com/fsnotify/fsnotify"
)

// dirs tells minders that something in their attempt directory was replaced. It is a hint: who hears nothing looks
// from time to time.
type dirs struct {
	watcher *fsnotify.Watcher // nil: the system has none to give
	log     *slog.Logger

	mu    sync.Mutex
	wakes map[string]func()
}

func newDirs(log *slog.Logger) (*dirs, error) {
	d := &dirs{log: log, wakes: map[string]func(){}}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		log.Warn("directories cannot be watched; looking at them from time to time instead", "error", err)
		return d, nil
	}
	d.watcher = watcher
	return d, nil
}

func (d *dirs) works() bool { return d.watcher != nil }

// follow calls wake whenever a file of the directory is replaced.
func (d *dirs) follow(path string, wake func()) {
	if d.watcher == nil {
		return
	}
	d.mu.Lock()
	_, known := d.wakes[path]
	d.wakes[path] = wake
	d.mu.Unlock()
	if known {
		return
	}
	if err := d.watcher.Add(path); err != nil {
		d.log.Warn("an attempt directory cannot be watched", "dir", path, "error", err)
	}
}

func (d *dirs) forget(path string) {
	d.mu.Lock()
	_, known := d.wakes[path]
	delete(d.wakes, path)
	d.mu.Unlock()
	if known {
		_ = d.watcher.Remove(path) // it may be gone already
	}
}

func (d *dirs) run(ctx context.Context) {
	if d.watcher == nil {
		return
	}
	for {
		select {
		case <-ctx.Done():
			return
		case e, ok := <-d.watcher.Events:
			if !ok {
				return
			}
			if name := filepath.Base(e.Name); e.Has(fsnotify.Create) && name[0] != '.' {
				d.wake(filepath.Dir(e.Name))
			}
		case err := <-d.watcher.Errors:
			if errors.Is(err, fsnotify.ErrEventOverflow) {
				d.wakeAll()
			}
		}
	}
}

func (d *dirs) wake(path string) {
	d.mu.Lock()
	wake := d.wakes[path]
	d.mu.Unlock()
	if wake != nil {
		wake()
	}
}

func (d *dirs) wakeAll() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, wake := range d.wakes {
		wake()
	}
}

func (d *dirs) close() error {
	if d.watcher == nil {
		return nil
	}
	return d.watcher.Close()
}
