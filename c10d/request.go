package c10d

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

var errMemory = errors.New("the store's memory limit is reached")

// request is one request in the terms of no release in particular.
type request struct {
	op     op
	keys   []string // exactly one, where the op has one key
	values [][]byte // SET, APPEND, QUEUE_PUSH: the value; COMPARE_SET: expected, desired; MULTI_SET: one per key
	n      int64    // VALIDATE: magic; ADD: delta; BARRIER: world size; PING: nonce
}

// reusedKeys is how large a request may be for its lists to be kept for the next one.
const reusedKeys = 64

// wireReader reads the parts of requests and answers, and keeps account of the memory that they take.
type wireReader struct {
	r       *bufio.Reader
	limits  Limits
	budget  *budget
	held    int64 // taken from the budget since the last release
	scratch []byte
	last    request // its slices serve again: who executes a request keeps keys and values, never the lists of them
}

func newWireReader(r io.Reader, limits Limits, b *budget) *wireReader {
	return &wireReader{r: bufio.NewReader(r), limits: limits, budget: b, scratch: make([]byte, 64)}
}

// release gives back what the last request took. What of it was kept has been accounted for by who keeps it.
func (w *wireReader) release() {
	w.budget.give(w.held)
	w.held = 0
	clear(w.last.keys)
	clear(w.last.values)
}

func (w *wireReader) hold(n int64) error {
	if !w.budget.take(n) {
		return errMemory
	}
	w.held += n
	return nil
}

// request reads the body that follows the opcode of o.
func (w *wireReader) request(o op) (request, error) {
	w.last.keys, w.last.values = w.last.keys[:0], w.last.values[:0]
	req, err := w.body(o)
	if cap(req.keys) <= reusedKeys {
		w.last = req
	} else {
		w.last = request{}
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return req, err
}

func (w *wireReader) body(o op) (req request, err error) {
	req = request{op: o, keys: w.last.keys, values: w.last.values}
	switch o {
	case opNumKeys, opCancelWait, opListKeys:

	case opValidate, opPing:
		var n uint32
		n, err = w.u32()
		req.n = int64(n)

	case opGet, opDelete, opQueuePop, opQueueLen, opWatch:
		err = w.addKey(&req)

	case opAdd, opBarrier:
		if err = w.addKey(&req); err == nil {
			req.n, err = w.i64()
		}

	case opSet, opAppend, opQueuePush:
		if err = w.addKey(&req); err == nil {
			err = w.addValue(&req, 1)
		}

	case opCompareSet:
		if err = w.addKey(&req); err == nil {
			err = w.addValue(&req, 2)
		}

	case opCheck, opWait, opMultiGet, opMultiSet:
		err = w.many(&req)

	default:
		err = fmt.Errorf("unknown request %#x", byte(o))
	}
	return req, err
}

func (w *wireReader) many(req *request) error {
	n, err := w.i64()
	if err != nil {
		return err
	}
	if n < 0 || n > int64(w.limits.Keys) {
		return fmt.Errorf("%d keys in one request, limit %d", uint64(n), w.limits.Keys)
	}
	for range n {
		if err := w.addKey(req); err != nil {
			return err
		}
		if req.op != opMultiSet {
			continue
		}
		if err := w.addValue(req, 1); err != nil {
			return err
		}
	}
	return nil
}

func (w *wireReader) addKey(req *request) error {
	key, err := w.key()
	if err != nil {
		return err
	}
	req.keys = append(req.keys, key)
	return nil
}

func (w *wireReader) addValue(req *request, n int) error {
	for range n {
		v, err := w.payload()
		if err != nil {
			return err
		}
		req.values = append(req.values, v)
	}
	return nil
}

func (w *wireReader) u8() (byte, error) { return w.r.ReadByte() }

func (w *wireReader) u32() (uint32, error) {
	if _, err := io.ReadFull(w.r, w.scratch[:4]); err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(w.scratch), nil
}

func (w *wireReader) i64() (int64, error) {
	if _, err := io.ReadFull(w.r, w.scratch[:8]); err != nil {
		return 0, err
	}
	return int64(binary.LittleEndian.Uint64(w.scratch)), nil
}

func (w *wireReader) length(limit int, what string) (int, error) {
	n, err := w.i64()
	if err != nil {
		return 0, err
	}
	if n < 0 || n > int64(limit) {
		return 0, fmt.Errorf("a %s of %d bytes, limit %d", what, uint64(n), limit)
	}
	return int(n), nil
}

func (w *wireReader) key() (string, error) {
	n, err := w.length(w.limits.Key, "key")
	if err != nil {
		return "", err
	}
	if err := w.hold(int64(n) + itemCost); err != nil {
		return "", err
	}
	if n > len(w.scratch) {
		w.scratch = make([]byte, n)
	}
	if _, err := io.ReadFull(w.r, w.scratch[:n]); err != nil {
		return "", err
	}
	return string(w.scratch[:n]), nil
}

// payload reads a value. Memory is taken as its bytes arrive, not as its length promises.
func (w *wireReader) payload() ([]byte, error) {
	n, err := w.length(w.limits.Payload, "value")
	if err != nil {
		return nil, err
	}
	if err := w.hold(itemCost); err != nil {
		return nil, err
	}
	var buf []byte
	for len(buf) < n {
		have := len(buf)
		step := min(n-have, max(have, 64<<10))
		if err := w.hold(int64(step)); err != nil {
			return nil, err
		}
		buf = slices.Grow(buf, step)[:have+step]
		if _, err := io.ReadFull(w.r, buf[have:]); err != nil {
			return nil, err
		}
	}
	return buf, nil
}

// encode writes req as PyTorch >= 2.2 does.
func (req request) encode() message {
	var m message
	m.u8(byte(req.op))
	switch req.op {
	case opValidate, opPing:
		m.u32(uint32(req.n))
	case opCheck, opWait, opMultiGet, opMultiSet:
		m.i64(int64(len(req.keys)))
	}
	for i, key := range req.keys {
		m.str(key)
		if req.op == opMultiSet {
			m.bytes(req.values[i])
		}
	}
	switch req.op {
	case opSet, opAppend, opQueuePush, opCompareSet:
		for _, v := range req.values {
			m.bytes(v)
		}
	case opAdd, opBarrier:
		m.i64(req.n)
	}
	return m
}
