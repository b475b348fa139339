package c10d

import (
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
	from   io.Reader // nil: what is in ahead is all there is
	ahead  []byte    // read and not used
	array  []byte    // where ahead lies
	limits Limits
	budget *budget
	held   int64   // taken from the budget since the last release
	last   request // its slices serve again: who executes a request keeps keys and values, never the lists of them
}

func newWireReader(from io.Reader, limits Limits, b *budget) *wireReader {
	return &wireReader{from: from, limits: limits, budget: b}
}

// readAhead is how much is read at a time, if it is there.
const readAhead = 4 << 10

// peek gives the next n bytes, which may be used until the next call. The error is io.EOF only where not one more is there.
func (w *wireReader) peek(n int) ([]byte, error) {
	if len(w.ahead) >= n {
		return w.ahead[:n], nil
	}
	if w.from == nil && len(w.ahead) == 0 {
		return nil, io.EOF
	}
	if w.from == nil {
		return nil, io.ErrUnexpectedEOF
	}
	if len(w.array) < n {
		w.array = make([]byte, max(n, readAhead))
	}
	have := copy(w.array, w.ahead)
	more, err := io.ReadAtLeast(w.from, w.array[have:], n-have)
	w.ahead = w.array[:have+more]
	if err == io.EOF && have > 0 {
		err = io.ErrUnexpectedEOF
	}
	return w.ahead[:min(n, have+more)], err
}

// next is peek for bytes that are then used.
func (w *wireReader) next(n int) ([]byte, error) {
	b, err := w.peek(n)
	if err == nil {
		w.ahead = w.ahead[n:]
	}
	return b, err
}

// fill reads as many bytes as b is long.
func (w *wireReader) fill(b []byte) error {
	n := copy(b, w.ahead)
	w.ahead = w.ahead[n:]
	if n == len(b) {
		return nil
	}
	if w.from == nil {
		return io.ErrUnexpectedEOF
	}
	_, err := io.ReadFull(w.from, b[n:])
	return err
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

func (w *wireReader) u8() (byte, error) {
	b, err := w.next(1)
	if err != nil {
		return 0, err
	}
	return b[0], nil
}

func (w *wireReader) u32() (uint32, error) {
	b, err := w.next(4)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(b), nil
}

func (w *wireReader) i64() (int64, error) {
	b, err := w.next(8)
	if err != nil {
		return 0, err
	}
	return int64(binary.LittleEndian.Uint64(b)), nil
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
	b, err := w.next(n)
	return string(b), err
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
		if err := w.fill(buf[have:]); err != nil {
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
