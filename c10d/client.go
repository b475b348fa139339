package c10d

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"time"
)

var (
	// ErrClosed is what the methods of a closed [Client] return.
	ErrClosed = errors.New("store client closed")

	// ErrLost is what they return once the connection is gone: the server closed or reset it, the network failed, or
	// a context ended in the middle of an exchange. Whether the last request was done is unknown. Dial anew; the client does
	// not do it by itself, because what it would find may be the store of another round.
	ErrLost = errors.New("connection to the store lost")
)

// ClientOptions are the settings of a client. The zero value is good.
type ClientOptions struct {
	// Limits that requests are held to before they are sent; set them as the server's are. Memory bounds one answer.
	Limits Limits

	MinBackoff time.Duration // first pause between two attempts to connect; default 20 ms, then doubled
	MaxBackoff time.Duration // longest such pause; default 1 s
}

const (
	attemptTimeout = 10 * time.Second // for one attempt to connect
	cancelTimeout  = 10 * time.Second // for the server's word on a cancelled wait
)

// Client is one connection to a TCPStore server of PyTorch 2.2 or newer, or to [Server]. Keys are those of PyTorch's
// TCPStore: the client puts a "/" before each on the wire.
//
// Its methods may be called from any goroutine, but take turns: a request waits until the one before is answered, and
// a Wait, Get, MultiGet, QueuePop or Barrier for as long as it takes. Dial a second client for what must not wait.
//
// When a context ends during the wait of one of these, the wait is taken back and the client stays usable. When it ends in
// the midst of another exchange, the connection is lost ([ErrLost]).
type Client struct {
	conn   net.Conn
	in     *wireReader
	limits Limits
	turn   chan struct{} // holds a token while a request is under way
	closed chan struct{}

	mu   sync.Mutex
	lost error // why the connection is unusable
}

// Dial connects to the server at addr (host:port). While nobody answers there, it tries again, with growing
// pauses, until ctx ends: a server may come up after its clients.
func Dial(ctx context.Context, addr string, opts ClientOptions) (*Client, error) {
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return nil, fmt.Errorf("reaching the store: %w", err)
	}
	pause := opts.MinBackoff
	if pause <= 0 {
		pause = 20 * time.Millisecond
	}
	longest := opts.MaxBackoff
	if longest <= 0 {
		longest = time.Second
	}
	var last error
	for {
		c, err := dialOnce(ctx, addr, opts)
		if err == nil {
			return c, nil
		}
		if last == nil || !over(ctx) {
			last = err // rather than that ctx cut an attempt short
		}
		// Jitter, so that the ranks of a large job do not knock all at once.
		wait := time.NewTimer(pause/2 + rand.N(pause/2+1))
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return nil, fmt.Errorf("reaching the store at %s: %w (last attempt: %w)", addr, ctx.Err(), last)
		}
		pause = min(2*pause, longest)
	}
}

// over tells whether ctx has ended or is about to: a connection's timer may fire a moment before ctx's own.
func over(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && !time.Now().Before(deadline)
}

func dialOnce(ctx context.Context, addr string, opts ClientOptions) (*Client, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	limits := opts.Limits.withDefaults()
	answers := Limits{Key: limits.Key, Payload: int(limits.Memory), Keys: limits.Keys}
	c := &Client{
		conn:   conn,
		in:     newWireReader(conn, answers, &budget{limit: limits.Memory}),
		limits: limits,
		turn:   make(chan struct{}, 1),
		closed: make(chan struct{}),
	}
	// VALIDATE has no answer, so ask something every release since 2.2 answers: is this a store, and is it alive?
	var n int64
	if err = c.send(ctx, request{op: opValidate, n: magic}); err == nil {
		n, err = c.NumKeys(ctx)
	}
	if err == nil && (n < 0 || n > 1<<40) {
		err = errors.New("what answers there is not a TCPStore")
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// Close ends the connection; what another goroutine is waiting for returns [ErrClosed].
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.closed:
		return nil
	default:
	}
	close(c.closed)
	if c.lost != nil {
		return nil // the connection is closed already
	}
	return c.conn.Close()
}

// exchange runs f, which sends requests and receives answers, when it is this call's turn.
func (c *Client) exchange(ctx context.Context, f func() error) error {
	select {
	case c.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	case <-c.closed:
		return ErrClosed
	}
	defer func() { <-c.turn }()
	if err := c.usable(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return f()
}

func (c *Client) usable() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.closed:
		return ErrClosed
	default:
		return c.lost
	}
}

// lose closes the connection, which err has left in an unknown state, and says what the caller should hear.
func (c *Client) lose(ctx context.Context, err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.closed:
		return ErrClosed
	default:
	}
	if c.lost == nil {
		c.lost = fmt.Errorf("%w: %w", ErrLost, err)
		c.conn.Close()
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%w (%w)", ctx.Err(), ErrLost)
	}
	return c.lost
}

// guard runs f, whose reads and writes fail when ctx ends.
func (c *Client) guard(ctx context.Context, f func() error) error {
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		c.conn.SetDeadline(time.Unix(1, 0))
		close(ended)
	})
	err := f()
	if !stop() {
		<-ended
		c.conn.SetDeadline(time.Time{})
	}
	return err
}

func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

func (c *Client) send(ctx context.Context, req request) error {
	if err := c.checkLimits(req); err != nil {
		return err
	}
	bufs := net.Buffers(req.encode().bufs)
	var n int64
	err := c.guard(ctx, func() (err error) {
		n, err = bufs.WriteTo(c.conn)
		return err
	})
	switch {
	case err == nil:
		return nil
	case n == 0 && isTimeout(err) && ctx.Err() != nil:
		return ctx.Err() // nothing of it was sent: the connection is as before
	}
	return c.lose(ctx, err)
}

// receive runs read, which takes an answer off the wire.
func (c *Client) receive(ctx context.Context, read func() error) error {
	defer c.in.release()
	if err := c.guard(ctx, read); err != nil {
		return c.lose(ctx, err)
	}
	return nil
}

// ask sends req and reads its answer.
func (c *Client) ask(ctx context.Context, req request, read func() error) error {
	if err := c.send(ctx, req); err != nil {
		return err
	}
	return c.receive(ctx, read)
}

// park sends req, whose answer may take long, and takes it back if ctx ends first.
func (c *Client) park(ctx context.Context, req request) error {
	if err := c.send(ctx, req); err != nil {
		return err
	}
	var answer byte
	read := func() (err error) {
		answer, err = c.in.u8()
		return err
	}
	err := c.guard(ctx, read)
	if isTimeout(err) && ctx.Err() != nil {
		return c.takeBack(ctx)
	}
	if err == nil && answer != waitDone {
		err = fmt.Errorf("answer %d to a wait", answer)
	}
	if err != nil {
		return c.lose(ctx, err)
	}
	return nil
}

// takeBack cancels the wait that ctx has ended. If its answer was already on the way, the wait has succeeded.
func (c *Client) takeBack(ctx context.Context) error {
	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), cancelTimeout)
	defer cancel()
	var done bool
	err := c.ask(patience, request{op: opCancelWait}, func() error {
		answer, err := c.in.u8()
		if err == nil && answer == waitDone {
			done = true
			answer, err = c.in.u8()
		}
		if err == nil && answer != waitCancelled {
			err = fmt.Errorf("answer %d to a cancelled wait", answer)
		}
		return err
	})
	switch {
	case err != nil:
		return fmt.Errorf("%w (%w)", ctx.Err(), err)
	case done:
		return nil
	}
	return ctx.Err()
}

func (c *Client) checkLimits(req request) error {
	if len(req.keys) > c.limits.Keys {
		return fmt.Errorf("%d keys in one request, limit %d", len(req.keys), c.limits.Keys)
	}
	for _, key := range req.keys {
		if len(key) > c.limits.Key {
			return fmt.Errorf("a key of %d bytes, limit %d", len(key), c.limits.Key)
		}
	}
	for _, v := range req.values {
		if len(v) > c.limits.Payload {
			return fmt.Errorf("a value of %d bytes, limit %d", len(v), c.limits.Payload)
		}
	}
	return nil
}
