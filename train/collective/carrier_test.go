package collective

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ainexus.io/c10d"
)

// fabricOf joins the fake carriers of one test: what each brings to a call is added up once all have come.
type fabricOf struct {
	mu    sync.Mutex
	size  int
	turns map[int][][]byte // by number of the call
	grew  chan struct{}
}

// fake is a carrier within this process.
type fake struct {
	f       *fabricOf
	rank    int
	calls   int
	carried atomic.Int32
	began   chan struct{} // closed by the first all-reduce
	aborted chan struct{}
	once    sync.Once
	closed  atomic.Int32
	harm    func(call int) error // what goes wrong; nil: nothing
}

func newFabric(size int) *fabricOf {
	return &fabricOf{size: size, turns: map[int][][]byte{}, grew: make(chan struct{})}
}

func (f *fabricOf) carrier() *fake {
	return &fake{f: f, began: make(chan struct{}), aborted: make(chan struct{})}
}

// exchange brings data to a call and returns what everybody brought.
func (c *fake) exchange(data []byte) ([][]byte, error) {
	if c.harm != nil {
		if err := c.harm(c.calls); err != nil {
			return nil, err
		}
	}
	f, n := c.f, c.calls
	c.calls++
	f.mu.Lock()
	if f.turns[n] == nil {
		f.turns[n] = make([][]byte, f.size)
	}
	f.turns[n][c.rank] = append([]byte{}, data...)
	close(f.grew)
	f.grew = make(chan struct{})
	for {
		whole := true
		for _, part := range f.turns[n] {
			whole = whole && part != nil
		}
		parts, grew := f.turns[n], f.grew
		f.mu.Unlock()
		if whole {
			return parts, nil
		}
		select {
		case <-grew:
		case <-c.aborted:
			return nil, errors.New("aborted")
		}
		f.mu.Lock()
	}
}

func (c *fake) ID() ([]byte, error) { return []byte("id"), nil }
func (c *fake) Join(id []byte, rank, _ int) error {
	if c.rank = rank; string(id) != "id" {
		return errors.New("another id")
	}
	_, err := c.exchange(nil)
	return err
}

func (c *fake) AllReduce(data []byte, bits int) error {
	if c.carried.Add(1) == 1 {
		close(c.began)
	}
	parts, err := c.exchange(data)
	if err != nil {
		return err
	}
	sum := floatsOf[float32](data)
	clear(sum)
	for _, part := range parts {
		for i, v := range floatsOf[float32](append(aligned(0), part...)) {
			sum[i] += v
		}
	}
	return nil
}

func (c *fake) ReduceScatter(_, _ []byte, _ int) error { return errors.New("not here") }
func (c *fake) AllGather(_, _ []byte) error            { return errors.New("not here") }
func (c *fake) Broadcast(_ []byte, _ int) error        { return errors.New("not here") }
func (c *fake) Abort()                                 { c.once.Do(func() { close(c.aborted) }) }
func (c *fake) Close() error                           { c.closed.Add(1); return nil }

// carriedBy joins a group whose ranks have the carriers, or where there is an error none, and runs f on each.
func carriedBy(t *testing.T, carriers []*fake, lacks func(rank int) error, f func(g *Group) error) []error {
	t.Helper()
	server, err := c10d.Listen("127.0.0.1:0", c10d.ServerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	errs := make([]error, len(carriers))
	var all sync.WaitGroup
	for rank, c := range carriers {
		all.Go(func() {
			store, err := c10d.Dial(t.Context(), server.Addr().String(), c10d.ClientOptions{})
			if err != nil {
				errs[rank] = err
				return
			}
			defer store.Close()
			g, err := Join(t.Context(), Config{Rank: rank, Size: len(carriers), Store: store, Timeout: 30 * time.Second, Carrier: func() (Carrier, error) {
				if err := lacks(rank); err != nil {
					return nil, err
				}
				return c, nil
			}})
			if err != nil {
				errs[rank] = err
				return
			}
			defer g.Close()
			errs[rank] = f(g)
		})
	}
	all.Wait()
	return errs
}

func nobodyLacks(int) error { return nil }

// What is large and a sum or a mean is carried; the rest goes the group's own ways; all is given back once.
func TestACarrierCarriesWhatIsLarge(t *testing.T) {
	f := newFabric(3)
	carriers := []*fake{f.carrier(), f.carrier(), f.carrier()}
	errs := carriedBy(t, carriers, nobodyLacks, func(g *Group) error {
		for _, op := range []Op{Sum, Mean, Max} {
			for _, n := range []int{10, carryLeast/4 - 1, carryLeast / 4} {
				x := make([]float32, n)
				for i := range x {
					x[i] = float32(3 * g.Rank())
				}
				if err := AllReduce(g, x, op); err != nil {
					return err
				}
				if want := map[Op]float32{Sum: 9, Mean: 3, Max: 6}[op]; x[0] != want || x[n-1] != want {
					t.Errorf("%v of %d is %v", op, n, x[n-1])
				}
			}
		}
		return g.Barrier(0)
	})
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	for rank, c := range carriers {
		if c.carried.Load() != 2 || c.closed.Load() != 1 {
			t.Errorf("rank %d: %d calls were carried, %d times closed", rank, c.carried.Load(), c.closed.Load())
		}
	}
}

// If one has none, none is used, and those there are given back.
func TestOneWithoutACarrier(t *testing.T) {
	f := newFabric(3)
	carriers := []*fake{f.carrier(), f.carrier(), f.carrier()}
	errs := carriedBy(t, carriers, func(rank int) error {
		if rank == 1 {
			return Absent("nothing here")
		}
		return nil
	}, func(g *Group) error { return AllReduce(g, make([]float32, 1<<16), Sum) })
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	for rank, c := range carriers {
		if c.carried.Load() != 0 || rank != 1 && c.closed.Load() != 1 {
			t.Errorf("rank %d: %d calls were carried, %d times closed", rank, c.carried.Load(), c.closed.Load())
		}
	}
}

// A carrier that fails breaks the group on all ranks, with the rank and its words, in a collective and when joining.
func TestACarrierFails(t *testing.T) {
	for call, where := range []string{"joining the group", "all-reduce"} {
		f := newFabric(3)
		carriers := []*fake{f.carrier(), f.carrier(), f.carrier()}
		carriers[2].harm = func(n int) error {
			if n == call {
				return errors.New("the wire is cut")
			}
			return nil
		}
		errs := carriedBy(t, carriers, nobodyLacks, func(g *Group) error { return AllReduce(g, make([]float32, 1<<16), Sum) })
		for rank, err := range errs {
			if err == nil || !strings.Contains(err.Error(), "rank 2 failed: the wire is cut") || !strings.HasPrefix(err.Error(), where) {
				t.Errorf("rank %d: %v", rank, err)
			}
		}
	}
}

// Closing a group, or aborting it, ends what is carried.
func TestClosingEndsWhatIsCarried(t *testing.T) {
	f := newFabric(2)
	carriers := []*fake{f.carrier(), f.carrier()}
	errs := carriedBy(t, carriers, nobodyLacks, func(g *Group) error {
		if g.Rank() == 1 {
			<-carriers[0].began
			g.Abort("gave up")
			return nil
		}
		return AllReduce(g, make([]float32, 1<<16), Sum)
	})
	if errs[0] == nil || !strings.Contains(errs[0].Error(), "rank 1 gave up") {
		t.Errorf("rank 0: %v", errs[0])
	}

	f = newFabric(2)
	carriers = []*fake{f.carrier(), f.carrier()}
	done := make(chan struct{})
	errs = carriedBy(t, carriers, nobodyLacks, func(g *Group) error {
		if g.Rank() == 1 {
			<-done
			return nil
		}
		defer close(done)
		ended := make(chan error)
		go func() { ended <- AllReduce(g, make([]float32, 1<<16), Sum) }()
		<-carriers[0].began
		g.Close()
		return <-ended
	})
	if !errors.Is(errs[0], ErrClosed) {
		t.Errorf("rank 0: %v", errs[0])
	}
}
