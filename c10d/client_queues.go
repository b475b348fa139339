package c10d

import (
	"context"
	"time"
)

// QueuePush puts value at the end of the queue named key. Like Set, it is not answered. Queues need a server as of 2025.
func (c *Client) QueuePush(ctx context.Context, key string, value []byte) error {
	req := request{op: opQueuePush, keys: []string{onWire(key)}, values: [][]byte{value}}
	return named(c.tell(ctx, req), "push to queue", key)
}

// QueuePop takes the first value of the queue, and waits for one as long as there is none.
func (c *Client) QueuePop(ctx context.Context, key string) ([]byte, error) {
	var value []byte
	err := c.exchange(ctx, func() error {
		for pause := time.Millisecond; ; pause = min(2*pause, 200*time.Millisecond) {
			if err := c.park(ctx, request{op: opWait, keys: []string{onWire(key)}}); err != nil {
				return err
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			v, ok, err := c.pop(ctx, key)
			if err != nil || ok {
				value = v
				return err
			}
			// Somebody who did not wait was quicker; or the name is also that of a key, and WAIT returns for that.
			select {
			case <-time.After(pause):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	})
	return value, named(err, "pop from queue", key)
}

// QueueTryPop takes the first value of the queue and reports whether there was one.
func (c *Client) QueueTryPop(ctx context.Context, key string) (value []byte, ok bool, err error) {
	err = c.exchange(ctx, func() error {
		value, ok, err = c.pop(ctx, key)
		return err
	})
	return value, ok, named(err, "pop from queue", key)
}

func (c *Client) pop(ctx context.Context, key string) (value []byte, ok bool, err error) {
	err = c.ask(ctx, request{op: opQueuePop, keys: []string{onWire(key)}}, func() error {
		n, err := c.in.i64()
		if err != nil || n == 0 {
			return err
		}
		ok = true
		value, err = c.in.payload()
		return err
	})
	return value, ok, err
}

// QueueLen is the number of values in the queue.
func (c *Client) QueueLen(ctx context.Context, key string) (int64, error) {
	n, err := c.askInt(ctx, request{op: opQueueLen, keys: []string{onWire(key)}})
	return n, named(err, "length of queue", key)
}
