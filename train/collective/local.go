package collective

import (
	"bytes"
	"fmt"
	"math/bits"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"
)

// local is the ranks of one host, which compute through shared memory. Places are positions in ranks.
type local struct {
	g      *Group
	ranks  []int // global ranks, rising
	place  int   // of this rank
	seg    []*segment
	mine   *segment
	block  uint32 // blocks that collectives before this one used; the same on all ranks
	slot   int    // bytes that a block may hold
	spins  int    // how often a counter is looked at before anything else is tried
	yields int    // how often the processor is offered to others then, before this rank sleeps
	// together says that another rank is a goroutine of this process. Then a rank that slept in the kernel would keep a
	// processor of the runtime from it for a while.
	together bool
	work     work // the collective that runs
	from     [][]byte
	spare    [][]byte // for sums of subtrees

	open sync.Mutex // held while the bell is rung from outside the collective
	shut bool       // the memory is not mapped any more
}

// newLocal maps the memory of the host's other ranks.
func newLocal(g *Group, ranks []int, mine *segment, seats []seat) (*local, error) {
	n := len(ranks)
	l := &local{g: g, ranks: ranks, place: slices.Index(ranks, g.rank), mine: mine, seg: make([]*segment, n), from: make([][]byte, n)}
	for place, rank := range ranks {
		if rank == g.rank {
			l.seg[place] = mine
			continue
		}
		s, err := openSegment(seats[rank])
		if err != nil {
			l.seg[l.place] = nil // stays with who made it
			l.close()
			return nil, fmt.Errorf("rank %d's memory: %w", rank, err)
		}
		l.seg[place] = s
		l.together = l.together || seats[rank].pid == os.Getpid()
	}
	l.slot = min(max(slotsTotal/(slots*n)&^(slotLeast-1), slotLeast), slotMost)
	for range bits.Len(uint(n)) {
		l.spare = append(l.spare, aligned(grain))
	}
	if l.spins, l.yields = patience(l.seg); l.together {
		l.spins = 0
	}
	return l, nil
}

const (
	// spinMany is for ranks with a processor each: the others are at work, and what is waited for comes soon. It is short,
	// since other programs may have taken a processor all the same.
	spinMany = 100
	// yieldMany is how often such a rank offers its processor before it sleeps, and yieldFew how often one that shares
	// a processor with other ranks does: on a busy machine each offer may be taken by a stranger for milliseconds, while
	// who was asleep comes before strangers. Measured.
	yieldMany, yieldFew = 100, 20
	// napLeast and napMost bound how long a rank that has others in its process sleeps at a time.
	napLeast, napMost = 20 * time.Microsecond, 10 * time.Millisecond
)

// patience counts the processors that the ranks of this host may run on: who has to share one must not spin on it.
func patience(seg []*segment) (spins, yields int) {
	var set [16]uint64
	for _, s := range seg {
		s.mayRunOn(&set)
	}
	count := 0
	for _, s := range set {
		count += bits.OnesCount64(s)
	}
	if count < len(seg) {
		return 0, yieldFew
	}
	return spinMany, yieldMany
}

// code is what a rank that sleeps wants: a counter of a place.
func code(place, counter int) uint32 { return uint32((place+1)*counters + counter) }

// reached compares counters, which may wrap.
func (s *segment) reached(counter int, target uint32) bool {
	return int32(s.counter[counter].Load()-target) >= 0
}

// publish moves a counter of this rank and wakes who sleeps for it.
func (l *local) publish(counter int, value uint32) {
	l.mine.counter[counter].Store(value)
	mine := code(l.place, counter)
	for place, s := range l.seg {
		if place != l.place && s.want.Load() == mine && s.want.CompareAndSwap(mine, 0) {
			s.bell.Add(1)
			wake(s.bell)
		}
	}
}

// await waits until a counter reaches its target: it looks, offers its processor, sleeps.
func (l *local) await(wait pending) error {
	s, counter, target := l.seg[wait.place], wait.counter, wait.target
	for range l.spins {
		if s.reached(counter, target) {
			return nil
		}
	}
	for range l.yields {
		if s.reached(counter, target) {
			return nil
		}
		if l.together {
			runtime.Gosched()
		} else {
			yield()
		}
	}
	l.g.arm()
	defer l.mine.want.Store(0)
	nap := napLeast
	for {
		heard := l.mine.bell.Load()
		l.mine.want.Store(code(wait.place, counter))
		if s.reached(counter, target) {
			return nil
		}
		if err := l.over(wait); err != nil {
			return err
		}
		if l.together {
			time.Sleep(nap)
			nap = min(2*nap, napMost)
		} else {
			sleepOn(l.mine.bell, heard)
		}
	}
}

// over returns why there is nothing to wait for.
func (l *local) over(wait pending) error {
	select {
	case <-l.g.closed:
		return ErrClosed
	default:
	}
	s := l.seg[wait.place]
	if l.g.verdict.Load() == nil && s.gone.Load() == 1 && !s.reached(wait.counter, wait.target) {
		return l.g.settled(&linkError{l.ranks[wait.place], errLeft})
	}
	if l.g.verdict.Load() != nil {
		<-l.g.broken
		return l.g.Err()
	}
	return nil
}

// same checks that the others are in this collective too, as their block says.
func (l *local) same(place int, block uint32) error {
	head := l.seg[place].header(block)
	if bytes.Equal(head, l.mine.header(block)) {
		return nil
	}
	return l.g.differs(l.ranks[place], head)
}

// ring wakes this rank if it sleeps, to see that the group has broken or closed.
func (l *local) ring() {
	l.open.Lock()
	defer l.open.Unlock()
	if !l.shut {
		l.mine.bell.Add(1)
		wake(l.mine.bell)
	}
}

// leave tells who waits for this rank that it has left.
func (l *local) leave() {
	l.open.Lock()
	defer l.open.Unlock()
	if l.shut {
		return
	}
	l.mine.gone.Store(1)
	for place, s := range l.seg {
		if place != l.place {
			s.bell.Add(1)
			wake(s.bell)
		}
	}
}

// close gives the memory back. No collective may run.
func (l *local) close() {
	l.open.Lock()
	defer l.open.Unlock()
	if l.shut {
		return
	}
	l.shut = true
	for _, s := range l.seg {
		if s != nil {
			dropMemory(s.mem)
		}
	}
}
