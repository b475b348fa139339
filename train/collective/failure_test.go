package collective

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

// crash closes a rank's sockets as the kernel does when a process is killed: no goodbye.
func crash(g *Group) {
	g.closing.Store(true) // its own goroutines shall not judge
	for _, l := range g.links {
		l.data.Close()
		l.control.Close()
	}
}

// survivors runs f on all ranks but one and checks that all fail within the promised 2 s.
func survivors(t *testing.T, groups []*Group, but int, f func(g *Group) error) []error {
	t.Helper()
	began := time.Now()
	errs := everyRank(len(groups), func(rank int) error {
		if rank == but {
			return nil
		}
		return f(groups[rank])
	})
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("the survivors needed %v to fail", took)
	}
	return errs
}

// A rank that dies fails the collective on every other rank, near or far, with its rank named.
func TestDeadPeerIsNamedEverywhere(t *testing.T) {
	for _, size := range []int{2, 4, 7} {
		for _, n := range []int{16, 1 << 20} {
			for dead := range size {
				groups := together(t, size, time.Minute)
				crash(groups[dead])
				errs := survivors(t, groups, dead, func(g *Group) error {
					for { // a rank far away may get through one more collective, never through many
						if err := AllReduce(g, make([]float32, n), Sum); err != nil {
							return err
						}
					}
				})
				for rank, err := range errs {
					var peer *PeerError
					if rank != dead && (!errors.As(err, &peer) || peer.Rank != dead) {
						t.Errorf("size %d, %d floats: rank %d got %v, not the death of rank %d", size, n, rank, err, dead)
					}
				}
				groups[dead].closing.Store(false)
			}
		}
	}
}

// A death is noticed by ranks that are not in a collective too.
func TestDeathIsNoticedBetweenCollectives(t *testing.T) {
	groups := together(t, 4, time.Minute)
	crash(groups[2])
	survivors(t, groups, 2, func(g *Group) error { <-g.Broken(); return nil })
	if err := groups[0].Barrier(0); err == nil || !strings.Contains(err.Error(), "rank 2 died") {
		t.Errorf("the next collective says %v", err)
	}
	groups[2].closing.Store(false)
}

// A rank that gives up tells the others why.
func TestAbortCarriesItsReason(t *testing.T) {
	groups := together(t, 5, time.Minute)
	groups[3].Abort("failed: loss is NaN")
	for rank, err := range survivors(t, groups, -1, func(g *Group) error { return g.Barrier(0) }) {
		if err == nil || !strings.Contains(err.Error(), "rank 3 failed: loss is NaN") {
			t.Errorf("rank %d got %v", rank, err)
		}
	}
}

// A cancelled context frees the ranks from a collective that can never end.
func TestCancelFreesEveryRank(t *testing.T) {
	groups := together(t, 3, time.Minute)
	ctx, cancel := context.WithCancelCause(context.Background())
	groups[1].Until(ctx)
	cancel(errors.New("the user asked"))
	for rank, err := range survivors(t, groups, 2, func(g *Group) error { return g.Barrier(0) }) {
		if rank != 2 && (err == nil || !strings.Contains(err.Error(), "rank 1 was cancelled: the user asked")) {
			t.Errorf("rank %d got %v", rank, err)
		}
	}
}

// A barrier that some ranks never call names them on those that did.
func TestBarrierNamesTheMissing(t *testing.T) {
	groups := together(t, 6, time.Minute)
	errs := everyRank(6, func(rank int) error {
		if rank == 2 || rank == 5 {
			return nil
		}
		return groups[rank].Barrier(50 * time.Millisecond)
	})
	for rank, err := range errs {
		if rank == 2 || rank == 5 {
			continue
		}
		var late *TimeoutError
		if !errors.As(err, &late) || !slices.Equal(late.Missing, []int{2, 5}) || len(late.Silent) > 0 {
			t.Errorf("rank %d got %v", rank, err)
		}
	}
	if err := groups[2].Barrier(0); err == nil || !strings.Contains(err.Error(), "ranks 2 and 5") {
		t.Errorf("a late rank got %v", err)
	}
}

// Ranks that call different collectives, or the same with different lengths, are told so instead of hanging.
func TestDifferentCollectivesAreTold(t *testing.T) {
	calls := map[string]func(g *Group) error{
		"length": func(g *Group) error { return AllReduce(g, make([]float32, 10+g.Rank()/3), Sum) },
		"large":  func(g *Group) error { return AllReduce(g, make([]float32, 100_000+g.Rank()/3), Sum) },
		"op":     func(g *Group) error { return AllReduce(g, make([]float32, 10), Op(g.Rank()/3)) },
		"kind": func(g *Group) error {
			if g.Rank() == 0 { // here each waits for the other's first byte: only the time limit tells
				return g.Barrier(50 * time.Millisecond)
			}
			return Broadcast(g, make([]byte, 10), 0)
		},
		"root": func(g *Group) error { return Broadcast(g, make([]byte, 10), g.Rank()/3) },
		"algorithm": func(g *Group) error {
			if g.Rank() == 0 {
				return AllReduce(g, make([]float32, 1<<18), Sum)
			}
			return AllReduce(g, make([]float32, 1), Sum)
		},
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			groups := together(t, 4, time.Minute)
			for rank, err := range everyRank(4, func(rank int) error {
				if err := call(groups[rank]); err != nil {
					return err
				}
				return groups[rank].Barrier(0) // a rank that was only sending hears of it here
			}) {
				if err == nil || !strings.Contains(err.Error(), "different collectives") {
					t.Errorf("rank %d got %v", rank, err)
				}
			}
		})
	}
}

// A rank that has left in good order is named as such when it is needed.
func TestLeaverIsNamed(t *testing.T) {
	groups := together(t, 4, time.Minute)
	groups[1].Close()
	for rank, err := range survivors(t, groups, 1, func(g *Group) error { return g.Barrier(0) }) {
		if rank != 1 && (err == nil || !strings.Contains(err.Error(), "rank 1 left the group")) {
			t.Errorf("rank %d got %v", rank, err)
		}
	}
	if err := groups[1].Barrier(0); !errors.Is(err, ErrClosed) {
		t.Errorf("the leaver's own barrier says %v", err)
	}
}

// crowded is a store whose ranks are besieged by strangers as soon as their addresses are known.
type crowded struct {
	*memory
	t *testing.T
}

func (c crowded) Set(ctx context.Context, key string, value []byte) error {
	if strings.Contains(key, "address/") {
		for _, say := range []string{"", "GET / HTTP/1.1\r\nHost: me\r\n\r\n" + strings.Repeat("x", 4096)} {
			conn, err := net.Dial("tcp", strings.Fields(string(value))[0])
			if err != nil {
				return err
			}
			c.t.Cleanup(func() { conn.Close() })
			fmt.Fprint(conn, say)
		}
	}
	return c.memory.Set(ctx, key, value)
}

// Strangers at the door, talking HTTP or saying nothing, neither enter nor delay the group.
func TestStrangersStayOutside(t *testing.T) {
	store := crowded{newMemory(), t}
	ctx, cancel := context.WithTimeout(context.Background(), doorLimit-time.Second)
	defer cancel()
	errs := everyRank(3, func(rank int) error {
		g, err := Join(ctx, Config{Rank: rank, Size: 3, Store: store})
		if err != nil {
			return err
		}
		defer g.Close()
		return g.Barrier(0)
	})
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
}

// Who does not know the key is refused by the door; a door that does not know it is left by the caller.
func TestWrongKeyIsRefused(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	d := &door{listener: listener, key: []byte("right"), rank: 0, size: 2, entered: make(chan entrant, 1)}
	served := make(chan struct{})
	go func() { d.serve(ctx); close(served) }()
	for _, who := range []caller{{Rank: 1, Peer: 1, Size: 2, Line: lineData}, {Rank: 1, Size: 3, Line: lineData}, {Rank: 1, Size: 2, Line: 7}} {
		if _, err := knock(ctx, listener.Addr().String(), []byte("right"), who); err == nil {
			t.Errorf("%+v was let in", who)
		}
	}
	if _, err := knock(ctx, listener.Addr().String(), []byte("wrong"), caller{Rank: 1, Size: 2, Line: lineData}); err == nil {
		t.Error("a wrong key was let in")
	}
	conn, err := knock(ctx, listener.Addr().String(), []byte("right"), caller{Rank: 1, Size: 2, Line: lineData})
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	cancel()
	listener.Close()
	<-served
}

// A group that cannot be formed says who did not come.
func TestJoinNamesTheMissing(t *testing.T) {
	store := newMemory()
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	errs := everyRank(4, func(rank int) error {
		if rank == 2 {
			return nil
		}
		_, err := Join(ctx, Config{Rank: rank, Size: 4, Store: store})
		return err
	})
	for rank, err := range errs {
		var failed *JoinError
		if rank != 2 && (!errors.As(err, &failed) || !slices.Equal(failed.Missing, []int{2})) {
			t.Errorf("rank %d got %v", rank, err)
		}
	}
}

// So does one whose member left its address and died.
func TestJoinNamesWhoCameAndWent(t *testing.T) {
	store := newMemory()
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	errs := everyRank(3, func(rank int) error {
		if rank == 2 {
			return store.Set(ctx, "address/2", []byte("127.0.0.1:1"))
		}
		_, err := Join(ctx, Config{Rank: rank, Size: 3, Store: store})
		return err
	})
	for _, rank := range []int{0, 1} {
		if errs[rank] == nil || !strings.Contains(errs[rank].Error(), "rank 2 did not come") {
			t.Errorf("rank %d got %v", rank, errs[rank])
		}
	}
}

// A group of many ranks forms and computes.
func TestManyRanks(t *testing.T) {
	groups := together(t, 48, time.Minute)
	allOK(t, groups, func(g *Group) error {
		for _, n := range []int{5, 20_000} {
			data := slices.Repeat([]float32{float32(g.Rank())}, n)
			if err := AllReduce(g, data, Sum); err != nil {
				return err
			}
			if want := float32(48 * 47 / 2); data[0] != want || data[n-1] != want {
				return differ("the sum is %v", data[0])
			}
		}
		return checkBroadcast(g, 1000, 47)
	})
	errs := everyRank(48, func(rank int) error {
		if rank == 31 {
			return nil
		}
		if rank == 0 { // asks the others; they have time
			return groups[rank].Barrier(100 * time.Millisecond)
		}
		return groups[rank].Barrier(0)
	})
	for rank, err := range errs {
		if rank != 31 && (err == nil || !strings.Contains(err.Error(), "waiting for rank 31")) {
			t.Errorf("rank %d got %v", rank, err)
		}
	}
}

// Wrong calls are refused before anything is sent.
func TestWrongCallsAreRefused(t *testing.T) {
	g, err := Join(t.Context(), Config{Size: 1})
	if err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"gather":  AllGather(g, make([]float32, 3), make([]float32, 2)),
		"scatter": ReduceScatter(g, make([]float32, 3), make([]float32, 2), Sum),
		"root":    Broadcast(g, make([]float32, 3), 1),
		"op":      AllReduce(g, make([]float32, 3), Op(9)),
	} {
		if err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	if _, err := Join(t.Context(), Config{Rank: 4, Size: 4}); err == nil {
		t.Error("rank 4 of 4 was accepted")
	}
}
