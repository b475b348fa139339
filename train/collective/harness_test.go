package collective

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"
)

// memory is a store in this process.
type memory struct {
	mu     sync.Mutex
	values map[string][]byte
	grew   chan struct{}
}

func newMemory() *memory { return &memory{values: map[string][]byte{}, grew: make(chan struct{})} }

func (m *memory) Set(_ context.Context, key string, value []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.values[key] = value
	close(m.grew)
	m.grew = make(chan struct{})
	return nil
}

func (m *memory) Get(ctx context.Context, key string) ([]byte, error) {
	for {
		m.mu.Lock()
		value, ok := m.values[key]
		grew := m.grew
		m.mu.Unlock()
		if ok {
			return value, nil
		}
		select {
		case <-grew:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// together joins a group of size ranks, all in this process, over shared memory where that is built.
func together(t testing.TB, size int, timeout time.Duration) []*Group {
	t.Helper()
	return spread(t, layout{}, size, timeout)
}

// layout is how ranks are spread over hosts: so many in a row on each; 0 is all on one, and 1 is TCP alone.
type layout struct{ each int }

func (l layout) String() string {
	switch l.each {
	case 0:
		return "memory"
	case 1:
		return "TCP"
	}
	return fmt.Sprintf("%d on each host", l.each)
}

func layouts() []layout { return []layout{{0}, {1}, {2}, {3}} }

// at makes one process look like several hosts.
func (l layout) at(rank int) func(*seat) {
	return func(s *seat) {
		if l.each > 0 && s.host != "" {
			s.host += fmt.Sprintf("-%d", rank/l.each)
		}
	}
}

// spread joins a group whose ranks are spread over imagined hosts.
func spread(t testing.TB, l layout, size int, timeout time.Duration) []*Group {
	t.Helper()
	store := newMemory()
	groups := make([]*Group, size)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	errs := everyRank(size, func(rank int) (err error) {
		groups[rank], err = Join(ctx, Config{Rank: rank, Size: size, Store: store, Timeout: timeout, TCP: l.each == 1, seated: l.at(rank)})
		return err
	})
	for rank, err := range errs {
		if err != nil {
			t.Fatalf("rank %d: %v", rank, err)
		}
	}
	t.Cleanup(func() {
		everyRank(size, func(rank int) error { return groups[rank].Close() })
	})
	return groups
}

// everyRank runs f for all ranks at once and returns their errors.
func everyRank(size int, f func(rank int) error) []error {
	errs := make([]error, size)
	var all sync.WaitGroup
	for rank := range size {
		all.Go(func() { errs[rank] = f(rank) })
	}
	all.Wait()
	return errs
}

// allOK fails the test unless f succeeds on every rank.
func allOK(t testing.TB, groups []*Group, f func(g *Group) error) {
	t.Helper()
	for rank, err := range everyRank(len(groups), func(rank int) error { return f(groups[rank]) }) {
		if err != nil {
			t.Fatalf("rank %d: %v", rank, err)
		}
	}
}

func differ(format string, args ...any) error { return fmt.Errorf(format, args...) }
