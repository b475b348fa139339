package collective

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// A rank whose memory the others cannot reach keeps all of them on TCP, which works, and each host says so once.
func TestUnreachableMemoryIsToldAndDoneWithout(t *testing.T) {
	if _, err := hostIdentity(); err != nil {
		t.Skip(err)
	}
	for name, spoil := range map[string]func(*seat){
		"no such descriptor":    func(s *seat) { s.fd = 1 << 20 },
		"something else":        func(s *seat) { s.fd = 0 },
		"another rank's memory": func(s *seat) { s.token = strings.Repeat("x", tokenSize) },
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			store, groups := newMemory(), make([]*Group, 3)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			handler := slog.NewTextHandler(&log, nil) // writes lines whole, one at a time
			for rank, err := range everyRank(3, func(rank int) (err error) {
				c := Config{Rank: rank, Size: 3, Store: store, Log: slog.New(handler)}
				if rank == 1 {
					c.seated = spoil
				}
				groups[rank], err = Join(ctx, c)
				return err
			}) {
				if err != nil {
					t.Fatalf("rank %d: %v", rank, err)
				}
			}
			allOK(t, groups, func(g *Group) error {
				defer g.Close()
				if g.shared {
					return differ("rank %d shares memory", g.Rank())
				}
				return checkAll[float32](g, 1000, Sum)
			})
			if n := strings.Count(log.String(), "cannot share memory"); n != 1 {
				t.Errorf("told %d times: %s", n, &log)
			}
		})
	}
}

// A group that is closed, or was never formed, leaves neither memory nor descriptors.
func TestMemoryIsGivenBack(t *testing.T) {
	if _, err := hostIdentity(); err != nil {
		t.Skip(err)
	}
	for range 2 {
		groups := spread(t, layout{}, 3, 0)
		if n := openMemories(t); n != 0 {
			t.Errorf("%d descriptors of memory are open in a group", n)
		}
		if n := mappings(t); n != 9 { // each of three maps each of three
			t.Errorf("%d pieces of memory are mapped in a group of three", n)
		}
		everyRank(3, func(rank int) error { return groups[rank].Close() })
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if _, err := Join(ctx, Config{Rank: 0, Size: 2, Store: newMemory()}); err == nil {
			t.Error("joined alone")
		}
		cancel()
		if open, mapped := openMemories(t), mappings(t); open != 0 || mapped != 0 {
			t.Errorf("%d descriptors are open and %d pieces mapped afterwards", open, mapped)
		}
	}
}

func openMemories(t *testing.T) (n int) {
	t.Helper()
	list, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range list {
		if target, err := os.Readlink(path); err == nil && strings.Contains(target, "nexus-collective") {
			n++
		}
	}
	return n
}

func mappings(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(text), "nexus-collective")
}

// What ranks say about themselves survives the store; what is no such thing is refused.
func TestSeats(t *testing.T) {
	for _, s := range []seat{{address: "127.0.0.1:1"}, {"[::1]:2", "abc", 7, 9, "0123456789abcdef"}} {
		if got, err := parseSeat(s.String()); err != nil || got != s {
			t.Errorf("%+v became %+v (%v)", s, got, err)
		}
	}
	for _, text := range []string{"", "a b", "a b c d e", "a b 1 2 xyz", "a b 1 2 00 3"} {
		if s, err := parseSeat(text); err == nil {
			t.Errorf("%q became %+v", text, s)
		}
	}
}

// Ranks that say nothing of their host are alone; the others are together with their equals, in order.
func TestHosts(t *testing.T) {
	got := hosts([]seat{{host: "b"}, {host: "a"}, {}, {host: "b"}, {}, {host: "a"}})
	want := [][]int{{0, 3}, {1, 5}, {2}, {4}}
	if !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("%v, not %v", got, want)
	}
}

// Where it is built, memory is used without being asked for.
func TestMemoryIsTheDefault(t *testing.T) {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Skip("this system may have none")
	}
	for _, g := range together(t, 2, 0) {
		if !g.shared || g.offered.why != nil {
			t.Errorf("rank %d shares no memory: %v", g.Rank(), g.offered.why)
		}
	}
}
