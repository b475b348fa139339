package c10d

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

func onWire(key string) string { return "/" + key }

func allOnWire(keys []string) []string {
	prefixed := make([]string, len(keys))
	for i, key := range keys {
		prefixed[i] = onWire(key)
	}
	return prefixed
}

// named says in an error what was asked about which keys; a nil error stays nil.
func named(err error, asked string, keys ...string) error {
	if err == nil {
		return nil
	}
	for i, key := range keys {
		if i == 3 {
			asked += fmt.Sprintf(" and %d more", len(keys)-3)
			break
		}
		asked += fmt.Sprintf(" %q", key)
	}
	return fmt.Errorf("%s: %w", asked, err)
}

// Set stores value under key. The store does not answer this request: nil means that it was sent. Whatever this client
// asks next is done after it.
func (c *Client) Set(ctx context.Context, key string, value []byte) error {
	return named(c.tell(ctx, request{op: opSet, keys: []string{onWire(key)}, values: [][]byte{value}}), "set", key)
}

// Append puts value behind what is stored under key, if anything. Like Set, it is not answered.
func (c *Client) Append(ctx context.Context, key string, value []byte) error {
	return named(c.tell(ctx, request{op: opAppend, keys: []string{onWire(key)}, values: [][]byte{value}}), "append to", key)
}

// MultiSet stores values[i] under keys[i]. Like Set, it is not answered.
func (c *Client) MultiSet(ctx context.Context, keys []string, values [][]byte) error {
	if len(keys) != len(values) {
		return fmt.Errorf("set: %d keys, but %d values", len(keys), len(values))
	}
	return named(c.tell(ctx, request{op: opMultiSet, keys: allOnWire(keys), values: values}), "set", keys...)
}

func (c *Client) tell(ctx context.Context, req request) error {
	return c.exchange(ctx, func() error { return c.send(ctx, req) })
}

// Get waits until key exists and returns its value.
func (c *Client) Get(ctx context.Context, key string) ([]byte, error) {
	values, err := c.MultiGet(ctx, key)
	if err != nil {
		return nil, err
	}
	return values[0], nil
}

// MultiGet waits until all keys exist and returns their values.
func (c *Client) MultiGet(ctx context.Context, keys ...string) ([][]byte, error) {
	values := make([][]byte, len(keys))
	wire := allOnWire(keys)
	err := c.exchange(ctx, func() error {
		if err := c.park(ctx, request{op: opWait, keys: wire}); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		return c.ask(ctx, request{op: opMultiGet, keys: wire}, func() (err error) {
			for i := range values {
				if values[i], err = c.in.payload(); err != nil {
					return err
				}
			}
			return nil
		})
	})
	return values, named(err, "get", keys...)
}

// Wait returns when all keys exist.
func (c *Client) Wait(ctx context.Context, keys ...string) error {
	return named(c.exchange(ctx, func() error {
		return c.park(ctx, request{op: opWait, keys: allOnWire(keys)})
	}), "wait for", keys...)
}

// Check reports whether all keys exist. A queue that is not empty counts as a key.
func (c *Client) Check(ctx context.Context, keys ...string) (bool, error) {
	var answer byte
	err := c.exchange(ctx, func() error {
		return c.ask(ctx, request{op: opCheck, keys: allOnWire(keys)}, func() (err error) {
			answer, err = c.in.u8()
			return err
		})
	})
	return err == nil && answer == checkReady, named(err, "check", keys...)
}

// Add adds delta to the counter at key and returns the sum. A missing counter is 0; the value is kept as decimal text.
func (c *Client) Add(ctx context.Context, key string, delta int64) (int64, error) {
	n, err := c.askInt(ctx, request{op: opAdd, keys: []string{onWire(key)}, n: delta})
	return n, named(err, "add to", key)
}

// CompareSet stores desired if the value at key is expected, or if expected is empty and key does not exist. It returns
// what is stored afterwards; except that where key does not exist and expected is not empty, it returns expected.
func (c *Client) CompareSet(ctx context.Context, key string, expected, desired []byte) ([]byte, error) {
	req := request{op: opCompareSet, keys: []string{onWire(key)}, values: [][]byte{expected, desired}}
	var v []byte
	err := c.exchange(ctx, func() error {
		return c.ask(ctx, req, func() (err error) {
			v, err = c.in.payload()
			return err
		})
	})
	return v, named(err, "compare and set", key)
}

// DeleteKey deletes key and reports whether it existed.
func (c *Client) DeleteKey(ctx context.Context, key string) (bool, error) {
	n, err := c.askInt(ctx, request{op: opDelete, keys: []string{onWire(key)}})
	return n > 0, named(err, "delete", key)
}

// NumKeys counts the keys of the store, those without "/" included, queues not.
func (c *Client) NumKeys(ctx context.Context) (int64, error) {
	n, err := c.askInt(ctx, request{op: opNumKeys})
	return n, named(err, "count keys")
}

// ListKeys returns the keys in order. Keys without "/", as PyTorch's own counter "init/", are left out; so are queues.
// It needs a server as of late 2025.
func (c *Client) ListKeys(ctx context.Context) ([]string, error) {
	var keys []string
	err := c.exchange(ctx, func() error {
		return c.ask(ctx, request{op: opListKeys}, func() error {
			n, err := c.in.i64()
			if err != nil {
				return err
			}
			for range n {
				key, err := c.in.key()
				if err != nil {
					return err
				}
				if key, ours := strings.CutPrefix(key, "/"); ours {
					keys = append(keys, key)
				}
			}
			return nil
		})
	})
	slices.Sort(keys)
	return keys, named(err, "list keys")
}

// Barrier returns when world clients have called it with key, which serves for one barrier only. A caller whose context
// ended stays counted. It needs a server as of 2026.
func (c *Client) Barrier(ctx context.Context, key string, world int) error {
	return named(c.exchange(ctx, func() error {
		return c.park(ctx, request{op: opBarrier, keys: []string{onWire(key)}, n: int64(world)})
	}), "barrier", key)
}

func (c *Client) askInt(ctx context.Context, req request) (n int64, err error) {
	err = c.exchange(ctx, func() error {
		return c.ask(ctx, req, func() (err error) {
			n, err = c.in.i64()
			return err
		})
	})
	return n, err
}
