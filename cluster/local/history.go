package local

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"ainexus.io/cluster/local/store"
)

// pruneStep is how many jobs are forgotten at a time.
const pruneStep = 50

// ended has the history looked at.
func (p *Place) ended() {
	select {
	case p.history <- struct{}{}:
	default:
	}
}

// forget drops what has been over for too long or is too much, after jobs have ended; an idle daemon has nothing to
// forget that a busy one would not. The directories go first: what is left after a crash is found by its record.
func (p *Place) forget(ctx context.Context) {
	for {
		select {
		case <-p.history:
		case <-ctx.Done():
			return
		}
		for p.forgetSome(ctx) && ctx.Err() == nil {
			rest(ctx, 20*time.Millisecond) // others use the disk too
		}
		rest(ctx, time.Second)
	}
}

// forgetSome reports whether there may be more.
func (p *Place) forgetSome(ctx context.Context) bool {
	oldest := p.Now().Add(-p.opts.HistoryAge).Unix() / 3600
	if oldest != p.aged {
		p.complain(ctx, p.store.Do(ctx, func(tx *store.Tx) error { return tx.DropHistory(oldest) }))
		p.aged = oldest
	}
	ids, err := p.store.Stale(ctx, p.Now().Add(-p.opts.HistoryAge), p.opts.History, pruneStep)
	if err != nil || len(ids) == 0 {
		p.complain(ctx, err)
		return false
	}
	for _, id := range ids {
		if err := os.RemoveAll(filepath.Join(p.opts.State, "attempts", id)); err != nil {
			p.complain(ctx, err)
			return false
		}
	}
	dropped, err := p.store.Prune(ctx, ids)
	if err != nil {
		p.complain(ctx, err)
		return false
	}
	p.view.forgot(dropped)
	return len(ids) == pruneStep
}

func (p *Place) complain(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil {
		p.log.Error("forgetting old jobs", "error", err)
	}
}
