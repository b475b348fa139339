package collective

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Group is the ranks of a job that compute together. Its collectives must be called by all ranks in the same order;
// calls from several goroutines are run one after another.
type Group struct {
	rank, size int
	timeout    time.Duration
	links      []*link // in rising order of rank
	hosts      [][]int // the ranks of each
	spots      []spot  // where each rank is in hosts
	all, heads circle  // over TCP: every rank, and the first of each host
	local      *local  // the ranks of this host; nil where there is nobody to share memory with
	shared     bool    // memory is used: every rank has reached what it needs
	offered    offered
	log        *slog.Logger
	carrier    Carrier // of the larger collectives; nil: none. Set once, under state

	turn    sync.Mutex // held by the running collective
	state   sync.Mutex // guards the next three, which only the holder of turn writes
	current header     // the running or last collective
	limit   time.Duration
	running bool
	timer   *time.Timer // goes off when the running collective is overdue
	armed   bool        // the timer runs
	scratch []byte
	message []byte // header and payload of small messages
	work    []byte // of reduce-scatter, kept for the next
	stream  *stream

	verdict atomic.Pointer[verdict] // why the group is broken; set once
	broken  chan struct{}           // closed after verdict is set
	closing atomic.Bool
	closed  chan struct{}
	owned   sync.WaitGroup // every goroutine of the group
	news    news
	release func() bool // stops watching the context
}

// Rank is this process's place among the ranks, from 0.
func (g *Group) Rank() int { return g.rank }

// Size is the number of ranks.
func (g *Group) Size() int { return g.size }

// Broken is closed when the group fails; [Group.Err] says why.
func (g *Group) Broken() <-chan struct{} { return g.broken }

// Err returns what broke the group, or nil.
func (g *Group) Err() error {
	if v := g.verdict.Load(); v != nil {
		return v.err()
	}
	return nil
}

// single returns the group of one rank, whose collectives need nobody.
func single() *Group {
	return &Group{size: 1, broken: make(chan struct{}), closed: make(chan struct{}), release: func() bool { return true }}
}

// begin takes the group for one collective. limit bounds its duration; 0 means the group's.
func (g *Group) begin(h header, limit time.Duration) error {
	g.turn.Lock()
	if err := g.usable(); err != nil {
		g.turn.Unlock()
		return err
	}
	if limit <= 0 {
		limit = g.timeout
	}
	h.seq = g.current.seq + 1
	g.state.Lock()
	g.current, g.limit, g.running = h, limit, true
	g.state.Unlock()
	if !g.alone() || g.carried(h) {
		g.arm()
	}
	return nil
}

// alone reports whether nobody outside this host takes part. Then only who sleeps needs the timer.
func (g *Group) alone() bool { return g.size == 1 || g.shared && g.heads.size() == 1 }

// arm starts the time limit of the running collective.
func (g *Group) arm() {
	if !g.armed {
		g.armed = true
		g.timer.Reset(g.limit)
	}
}

func (g *Group) usable() error {
	if g.closing.Load() {
		return ErrClosed
	}
	return g.Err()
}

// end gives the group back and says which collective an error belongs to.
func (g *Group) end(err error) error {
	defer g.turn.Unlock()
	if g.armed {
		g.armed = false
		g.timer.Stop()
	}
	g.state.Lock()
	g.running = false
	g.state.Unlock()
	if err == nil {
		return nil
	}
	return fmt.Errorf("%v: %w", g.current, g.settled(err))
}

// settled turns an I/O error into the verdict that all ranks share.
func (g *Group) settled(err error) error {
	if err == nil {
		return nil
	}
	var broken *linkError
	if errors.As(err, &broken) {
		return g.blame(broken)
	}
	var carried *carrierError
	if errors.As(err, &carried) {
		return g.blameCarrier(carried)
	}
	return err
}

// settle is how long a failed read waits for the control connections to say who is to blame. A neighbour's sockets
// often close because somebody else died first.
const settle = 500 * time.Millisecond

// blame finds out why a link failed.
func (g *Group) blame(broken *linkError) error {
	wait := time.NewTimer(settle)
	defer wait.Stop()
	select {
	case <-g.broken:
	case <-g.closed:
		return ErrClosed
	case <-wait.C:
		reason := "died: " + broken.err.Error()
		if l := g.linkTo(broken.peer); errors.Is(broken.err, errLeft) || l != nil && l.left.Load() {
			reason = "left the group"
		}
		g.fail(verdict{Kind: verdictPeer, Rank: broken.peer, Reason: reason}, nil)
		<-g.broken
	}
	return g.Err()
}

// Abort breaks the group on every rank: they get a [PeerError] that names this rank and the reason, which should
// continue "rank 3 ...", as in "failed: loss is NaN".
func (g *Group) Abort(reason string) {
	if g.size > 1 && !g.closing.Load() {
		g.fail(verdict{Kind: verdictPeer, Rank: g.rank, Reason: reason}, nil)
	}
}

// fail makes v the verdict, unless there is one, tells the neighbours, and wakes whoever waits on a data connection.
func (g *Group) fail(v verdict, from *link) {
	if !g.verdict.CompareAndSwap(nil, &v) {
		return
	}
	for _, l := range g.links {
		if l != from {
			l.tell(message{Verdict: &v})
		}
	}
	close(g.broken)
	for _, l := range g.links {
		l.data.SetDeadline(time.Unix(1, 0))
	}
	if g.local != nil {
		g.local.ring()
	}
	g.abortCarrier()
}

// Close leaves the group: peers that still wait for this rank get an error that says so. It is safe to call twice.
func (g *Group) Close() error {
	if !g.closing.CompareAndSwap(false, true) {
		<-g.closed
		return nil
	}
	g.release()
	if g.timer != nil {
		g.timer.Stop()
	}
	if g.verdict.Load() != nil {
		<-g.broken // the neighbours have been told
	}
	if g.local != nil {
		g.local.leave()
	}
	for _, l := range g.links {
		l.tell(message{Bye: true})
		l.close()
	}
	close(g.closed)
	if g.local != nil {
		g.local.ring()
	}
	g.owned.Wait()
	g.dropCarrier()
	if g.local != nil {
		g.turn.Lock() // a collective that still runs ends first
		defer g.turn.Unlock()
		g.local.close()
	}
	g.withdraw()
	return nil
}

func (g *Group) linkTo(rank int) *link {
	for _, l := range g.links {
		if l.peer == rank {
			return l
		}
	}
	return nil
}

// start wires the links and starts the group's goroutines.
func (g *Group) start() {
	g.broken, g.closed = make(chan struct{}), make(chan struct{})
	g.news.routes = make(map[inquiry]*link)
	everyone := make([]int, g.size)
	for rank := range everyone {
		everyone[rank] = rank
	}
	g.all, g.heads = g.circleOf(everyone), g.circleOf(headsOf(g.hosts))
	g.scratch = aligned(scratchSize)
	g.message = make([]byte, headerSize+treeLimit)
	g.stream = newStream(g)
	g.timer = time.AfterFunc(time.Hour, func() { g.overdue() })
	g.timer.Stop()
	g.owned.Go(g.stream.serve)
	for _, l := range g.links {
		g.owned.Go(func() { g.listen(l) })
	}
	g.release = func() bool { return true }
}
