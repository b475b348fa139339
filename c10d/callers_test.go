package c10d

import (
	"context"
	"fmt"
	"slices"
	"testing"
)

// Who looks sees what each client waits for, and no longer once it has it.
func TestCallersTellWhatEachWaitsFor(t *testing.T) { bothWays(t, callersTellWhatEachWaitsFor) }

func callersTellWhatEachWaitsFor(t *testing.T) {
	s := startServer(t, ServerOptions{})
	asks, ctx := dial(t, s)
	waits, _ := dial(t, s)
	dialRaw(t, s, torch113) // silent, as 1.13's second connection
	must[int64](t)(asks.Add(ctx, "count", 3))
	done := make(chan error, 1)
	go func() { done <- waits.Wait(context.WithoutCancel(ctx), "b", "a", "count") }()
	eventually(t, "it waits", func() bool { return s.waiters("/a") == 1 })

	callers := s.Callers()
	if len(callers) != 2 {
		t.Fatalf("%+v", callers)
	}
	at := slices.IndexFunc(callers, func(c Caller) bool { return c.Awaits != nil })
	if at < 0 || !slices.Equal(callers[at].Awaits, []string{"/a", "/b"}) || !callers[at].Addr.IsValid() {
		t.Errorf("%+v", callers)
	}
	if other := callers[1-max(at, 0)]; other.Key != "/count" || other.Awaits != nil || other.Asked == 0 {
		t.Errorf("%+v", other)
	}
	equal(t, s.Counter("/count"), 3)
	equal(t, s.Counter("/none"), 0)

	ok(t, asks.Set(ctx, "a", nil))
	ok(t, asks.Set(ctx, "b", nil))
	ok(t, <-done)
	if slices.ContainsFunc(s.Callers(), func(c Caller) bool { return c.Awaits != nil }) {
		t.Errorf("%+v", s.Callers())
	}

	many := make([]string, mostAwaited+1)
	for i := range many {
		many[i] = fmt.Sprint("many", i)
	}
	go func() { done <- waits.Wait(context.WithoutCancel(ctx), many...) }()
	eventually(t, "it waits for more", func() bool { return s.waiters("/many0") == 1 })
	if slices.ContainsFunc(s.Callers(), func(c Caller) bool { return c.Awaits != nil }) {
		t.Error("more is told than there is time for")
	}
	s.Reset()
	if <-done == nil {
		t.Error("it has what nobody set")
	}
	equal(t, len(s.Callers()), 0)
	equal(t, s.Counter("/count"), 0)
}
