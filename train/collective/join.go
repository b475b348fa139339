package collective

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"time"
)

// Store is where ranks find one another: a key-value store that all of them reach.
type Store interface {
	// Set stores a value.
	Set(ctx context.Context, key string, value []byte) error
	// Get returns a value; while there is none it waits.
	Get(ctx context.Context, key string) ([]byte, error)
}

// Config says who joins what.
type Config struct {
	Rank, Size int    // this rank, from 0, and the number of ranks
	Store      Store  // unused when Size is 1
	Prefix     string // of the keys in the store; no two groups on one store may share it
	// Host is the address that the others reach this rank at. Default 127.0.0.1: all ranks on this machine.
	Host string
	// TCP keeps the ranks of one host from sharing memory.
	TCP bool
	// Carrier makes what carries larger collectives another way; see [Carrier]. An error, as [Absent], means that this rank
	// has none, and all do without. Default: there is none. All ranks have one or none of them has.
	Carrier func() (Carrier, error)
	// Log is told, once for each host, when ranks that could share memory do not, and why there is no carrier. Default: nobody is.
	Log *slog.Logger
	// Timeout bounds each collective. Default 10 minutes: it must outlast the slowest rank's longest pause.
	Timeout time.Duration

	seated func(*seat) // tests: changes what this rank says about itself
}

const defaultTimeout = 10 * time.Minute

// Join forms the group: it returns when all ranks are linked, or with a [JoinError] that names those who did not come
// before ctx ended. Afterwards the store is not needed any more, and ctx has no meaning for the group.
func Join(ctx context.Context, c Config) (*Group, error) {
	if c.Size < 1 || c.Rank < 0 || c.Rank >= c.Size {
		return nil, fmt.Errorf("joining the group: there is no rank %d among %d", c.Rank, c.Size)
	}
	if c.Size == 1 {
		return single(), nil
	}
	if c.Timeout <= 0 {
		c.Timeout = defaultTimeout
	}
	if c.Host == "" {
		c.Host = "127.0.0.1"
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	g := &Group{rank: c.Rank, size: c.Size, timeout: c.Timeout, log: c.Log}
	if err := g.connect(ctx, c); err != nil {
		g.drop()
		return nil, g.joinError(c, err)
	}
	g.start()
	if err := g.assemble(ctx, c); err != nil {
		g.Close()
		return nil, &JoinError{Err: err}
	}
	return g, nil
}

// assemble waits until all ranks have their links: a barrier that ends with ctx.
func (g *Group) assemble(ctx context.Context, c Config) error {
	stop := context.AfterFunc(ctx, func() {
		if !errors.Is(ctx.Err(), context.DeadlineExceeded) { // of a deadline the barrier itself can tell more
			g.Abort("gave up joining: " + context.Cause(ctx).Error())
		}
	})
	defer stop()
	limit := time.Duration(0)
	if deadline, ok := ctx.Deadline(); ok {
		limit = max(time.Until(deadline), time.Millisecond)
	}
	if err := g.share(limit); err != nil {
		return err
	}
	if err := g.carry(ctx, c, limit); err != nil {
		return err
	}
	// Last, since a rank that is through it may fail at once, and the others' joining should not fail for that.
	return g.Barrier(limit)
}

// Until breaks the group when ctx ends, on every rank, with this rank named. Call it once, before the group is shared.
func (g *Group) Until(ctx context.Context) {
	g.release = context.AfterFunc(ctx, func() {
		g.Abort("was cancelled: " + context.Cause(ctx).Error())
	})
}

// connect links this rank to its neighbours: the lower rank of a pair listens, the higher one dials.
func (g *Group) connect(ctx context.Context, c Config) error {
	listener, err := net.Listen("tcp", net.JoinHostPort(c.Host, "0"))
	if err != nil {
		return err
	}
	defer listener.Close()
	mine := seat{address: listener.Addr().String()}
	g.offer(c, &mine)
	seats, err := exchange(ctx, c, mine)
	if err != nil {
		return err
	}
	key, err := c.key(ctx)
	if err != nil {
		return fmt.Errorf("getting the group's token from rank 0: %w", err)
	}
	g.hosts = g.arrange(seats)

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	d := &door{listener: listener, key: key, rank: g.rank, size: g.size, entered: make(chan entrant, 4)}
	var inside sync.WaitGroup
	inside.Go(func() { d.serve(ctx) })
	defer inside.Wait()
	defer listener.Close()
	defer cancel()

	await := 0
	for _, peer := range peers(g.rank, g.size, g.hosts) {
		g.links = append(g.links, &link{peer: peer})
		if peer > g.rank {
			await += 2
		}
	}
	for _, l := range g.links {
		if l.peer > g.rank {
			continue
		}
		if err := g.dial(ctx, seats[l.peer].address, key, l); err != nil {
			return fmt.Errorf("reaching rank %d: %w", l.peer, err)
		}
	}
	for await > 0 {
		select {
		case e := <-d.entered:
			if l := g.linkTo(e.who.Rank); l != nil && l.take(e.who.Line, e.conn) {
				await--
			} else {
				e.conn.Close()
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// dial makes both connections of a link.
func (g *Group) dial(ctx context.Context, address string, key []byte, l *link) error {
	for _, which := range []line{lineData, lineControl} {
		conn, err := knock(ctx, address, key, caller{Rank: g.rank, Peer: l.peer, Size: g.size, Line: which})
		if err != nil {
			return err
		}
		l.take(which, conn)
	}
	return nil
}

// take makes conn one half of the link. A half that is there already stays.
func (l *link) take(which line, conn *net.TCPConn) bool {
	half := &l.data
	if which == lineControl {
		half = &l.control
	}
	if *half != nil {
		return false
	}
	*half = conn
	conn.SetDeadline(time.Time{})
	conn.SetNoDelay(true)
	conn.SetKeepAliveConfig(keepAlive)
	return true
}

// keepAlive finds out that a machine is gone, which no reset tells. A stopped process does not look like one: its
// kernel answers.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 3 * time.Second, Interval: time.Second, Count: 6}

// drop closes what connect opened.
func (g *Group) drop() {
	for _, l := range g.links {
		for _, conn := range []*net.TCPConn{l.data, l.control} {
			if conn != nil {
				conn.Close()
			}
		}
	}
	if g.local != nil {
		g.local.close()
	}
	g.withdraw()
}

// key returns the group's secret, which rank 0 draws.
func (c Config) key(ctx context.Context) ([]byte, error) {
	name := c.Prefix + "token"
	if c.Rank != 0 {
		return c.Store.Get(ctx, name)
	}
	key := make([]byte, 32)
	rand.Read(key)
	return key, c.Store.Set(ctx, name, key)
}

func (c Config) addressKey(rank int) string { return c.Prefix + "address/" + strconv.Itoa(rank) }

// joinError says who is missing: the ranks that left no address in the store. If all have, then the neighbours without a
// link, which came and went.
func (g *Group) joinError(c Config, err error) error {
	failed := &JoinError{Err: err}
	if !errors.Is(err, context.DeadlineExceeded) {
		return failed
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	for rank := range c.Size {
		if !c.has(ctx, c.addressKey(rank)) {
			failed.Missing = append(failed.Missing, rank)
		}
	}
	if len(failed.Missing) == c.Size {
		failed.Missing = nil // the store itself is out of reach
		return failed
	}
	if len(failed.Missing) == 0 {
		failed.Missing = g.unlinked()
	}
	return failed
}

// unlinked returns the neighbours that no link was made to.
func (g *Group) unlinked() (list []int) {
	for _, l := range g.links {
		if l.data == nil || l.control == nil {
			list = append(list, l.peer)
		}
	}
	return list
}

// has reports whether a key is there. A store that is asked to wait is given a moment.
func (c Config) has(ctx context.Context, key string) bool {
	ctx, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	_, err := c.Store.Get(ctx, key)
	return err == nil
}
