package launch

import (
	"log/slog"
	"sync"
	"time"

	"ainexus.io/attempt"
	"ainexus.io/nexus"
	"ainexus.io/proc"
)

// board keeps status.json: each change at once, and the lease every ten seconds. With no directory it only remembers.
type board struct {
	dir   attempt.Dir
	clock proc.Clock
	log   *slog.Logger

	mu     sync.Mutex
	status nexus.Status
	silent bool // nobody reads it
	failed bool // writing failed, and that was said
	quit   chan struct{}
	done   chan struct{}
}

func newBoard(dir attempt.Dir, silent bool, clock proc.Clock, log *slog.Logger) *board {
	b := &board{dir: dir, clock: clock, log: log, silent: silent, quit: make(chan struct{}), done: make(chan struct{})}
	go b.renew()
	return b
}

// set changes the status and writes it.
func (b *board) set(change func(*nexus.Status)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(&b.status)
	b.write()
}

func (b *board) write() {
	if b.silent {
		return
	}
	b.status.Renewed = b.clock.Wall()
	err := b.dir.WriteStatus(b.status)
	if err != nil && !b.failed {
		b.log.Warn("the status cannot be written", "err", err)
	}
	b.failed = err != nil
}

func (b *board) renew() {
	defer close(b.done)
	ticker := time.NewTicker(renewal)
	defer ticker.Stop()
	for {
		select {
		case <-b.quit:
			return
		case <-ticker.C:
			b.set(func(*nexus.Status) {})
		}
	}
}

func (b *board) close() {
	close(b.quit)
	<-b.done
}

// note adds a sentence for the user, once.
func (b *board) note(text string) {
	b.set(func(s *nexus.Status) {
		for _, old := range s.Notes {
			if old == text {
				return
			}
		}
		s.Notes = append(s.Notes, text)
	})
}
