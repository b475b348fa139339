package local

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"ainexus.io/cluster/local/store"
	"ainexus.io/nexus"
	"ainexus.io/sched/policy"
)

// lessons is what this place learns from its jobs. The planner is told through the view, now and then; what it was told
// is also kept, by [Place.keepLessons], so that nobody who submits waits for it. A daemon that is killed loses what it
// learnt since. Estimates live in memory only: after a restart those who wait are given new ones.
type lessons struct {
	mu      sync.Mutex
	learner policy.Learner
	told    chan struct{} // cap 1: there is something to keep
}

func newLessons() *lessons { return &lessons{told: make(chan struct{}, 1)} }

// learn lets the learner take something in, and gives what is worth telling; else nil.
func (l *lessons) learn(in func(*policy.Learner)) *nexus.History {
	l.mu.Lock()
	defer l.mu.Unlock()
	in(&l.learner)
	return l.learner.News()
}

// all is what was learnt so far.
func (l *lessons) all() *nexus.History {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.learner.History.Clone()
}

// learn takes something in and tells the planner what is worth it.
func (p *Place) learn(in func(*policy.Learner)) {
	news := p.lessons.learn(in)
	if news == nil {
		return
	}
	p.view.setHistory(news)
	select {
	case p.lessons.told <- struct{}{}:
	default:
	}
}

// readLessons goes on with what was learnt before. What cannot be read is told, and learnt anew: no job depends on it.
func (p *Place) readLessons(ctx context.Context) error {
	doc, err := p.store.Lessons(ctx)
	if err != nil || doc == nil {
		return err
	}
	var h nexus.History
	err = json.Unmarshal(doc, &h)
	if err == nil {
		err = policy.CheckHistory(&h)
	}
	if err != nil {
		p.log.Warn("what past jobs taught cannot be read and is learnt anew", "error", err)
		return nil
	}
	p.lessons.learner.History = h
	p.view.setHistory(h.Clone())
	return nil
}

// keepLessons writes what was learnt after it was told, at most once a second, and when the place is stopped.
func (p *Place) keepLessons(ctx context.Context) {
	kept := mark(p.lessons.all())
	for {
		select {
		case <-p.lessons.told:
		case <-ctx.Done():
		}
		if h := p.lessons.all(); mark(h) != kept {
			doc, err := json.Marshal(h)
			if err == nil {
				err = p.store.Do(context.WithoutCancel(ctx), func(tx *store.Tx) error { return tx.PutLessons(doc) })
			}
			if err != nil {
				p.log.Error("keeping what jobs taught", "error", err)
			} else {
				kept = mark(h)
			}
		}
		if ctx.Err() != nil {
			return
		}
		rest(ctx, time.Second)
	}
}

// mark is a number that no lesson leaves as it was.
func mark(h *nexus.History) [2]int64 { return [2]int64{int64(h.Version), h.Mix.Seen} }
