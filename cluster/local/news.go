package local

import (
	"context"
	"sync"
	"time"

	"ainexus.io/api"
	"ainexus.io/nexus"
)

// news wakes those who wait for events. The events themselves are read from the records, so nobody misses one.
type news struct {
	mu   sync.Mutex
	next chan struct{} // closed when there are more
}

func newNews() *news { return &news{next: make(chan struct{})} }

func (n *news) ring() {
	n.mu.Lock()
	defer n.mu.Unlock()
	close(n.next)
	n.next = make(chan struct{})
}

// more is closed when events come that were not there before this call.
func (n *news) more() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.next
}

// eventPage is how many events are read at a time; slowReader is how long one may be on offer.
const (
	eventPage  = 500
	slowReader = 10 * time.Second
)

// Events sends every event that is kept with Seq > after, then the new ones as they come, until ctx or the place ends
// or the reader is too slow; then it closes the channel.
func (p *Place) Events(ctx context.Context, after uint64) (<-chan nexus.Event, error) {
	last, err := p.store.LastEvent(ctx)
	if err != nil {
		return nil, err
	}
	if after == api.FromNow {
		after = last
	}
	out := make(chan nexus.Event)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx.Err() != nil {
		close(out)
		return out, nil
	}
	p.working.Go(func() {
		defer close(out)
		timer := time.NewTimer(slowReader)
		defer timer.Stop()
		for {
			more := p.news.more()
			events, err := p.store.Events(ctx, after, eventPage)
			if err != nil {
				return
			}
			for _, e := range events {
				timer.Reset(slowReader)
				select {
				case out <- e:
					after = e.Seq
				case <-timer.C:
					return
				case <-ctx.Done():
					return
				case <-p.ctx.Done():
					return
				}
			}
			if len(events) > 0 {
				continue
			}
			select {
			case <-more:
			case <-ctx.Done():
				return
			case <-p.ctx.Done():
				return
			}
		}
	})
	return out, nil
}
