package c10d

import (
	"container/list"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

var errReset = errors.New("the store was reset")

// store is the data of one round, and who waits for what in it. Its lock is held only to look and to change:
// answers are pushed into outboxes, which never block.
type store struct {
	limits Limits
	budget *budget

	mu       sync.Mutex
	dead     bool
	held     int64 // what of the budget the store holds
	data     map[string][]byte
	queues   map[string][][]byte // never empty ones
	waiting  map[string]*list.List
	watching map[string]map[*caller]struct{}
	told     []*outbox // of others, pushed into and not yet flushed
}

// caller is what the store knows of one connection.
type caller struct {
	out     *outbox
	legacy  bool   // older than 2.2
	asked   int64  // how many requests
	key     string // the first one that it named last
	wait    *waiter
	owed    *string             // queue whose item it was woken for and has not asked for since
	watched map[string]struct{} // keys
}

// waiter is a parked WAIT or BARRIER.
type waiter struct {
	caller  *caller
	missing map[string]*list.Element // its places in store.waiting
	barrier bool
	cost    int64
}

func newStore(limits Limits, b *budget) *store {
	return &store{
		limits:   limits,
		budget:   b,
		data:     map[string][]byte{},
		queues:   map[string][][]byte{},
		waiting:  map[string]*list.List{},
		watching: map[string]map[*caller]struct{}{},
	}
}

// kill empties the store for good; whoever still asks is refused.
func (s *store) kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dead = true
	s.give(s.held)
	s.data, s.queues, s.waiting, s.watching = nil, nil, nil, nil
}

// leave forgets the caller: its waits and watches, not its data.
func (s *store) leave(c *caller) {
	for _, out := range s.forget(c) {
		out.flush()
	}
}

// forget is leave under the lock. It gives the outboxes that it has pushed into.
func (s *store) forget(c *caller) (told []*outbox) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead {
		return nil
	}
	s.unpark(c)
	s.passOn(c)
	for key := range c.watched {
		delete(s.watching[key], c)
		if len(s.watching[key]) == 0 {
			delete(s.watching, key)
		}
		s.give(int64(len(key)) + itemCost)
	}
	c.watched = nil
	told, s.told = s.told, nil
	return told
}

// parked reports whether the caller's last WAIT or BARRIER is unanswered.
func (s *store) parked(c *caller) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return c.wait != nil
}

// execute does what the request asks and answers it, if it has an answer now. After an error the connection must go.
func (s *store) execute(c *caller, req request) error {
	told, err := s.perform(c, req)
	c.out.flush()
	for _, out := range told {
		out.flush()
	}
	return err
}

// perform is execute under the lock. It gives the outboxes that it has pushed into beside the caller's.
func (s *store) perform(c *caller, req request) (told []*outbox, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead {
		return nil, errReset
	}
	err = s.do(c, req)
	told, s.told = s.told, nil
	return told, err
}

// tellOther pushes what another caller than the one at work has to hear.
func (s *store) tellOther(c *caller, m message) {
	c.out.push(m)
	s.told = append(s.told, c.out)
}

func (s *store) do(c *caller, req request) error {
	c.asked++
	if len(req.keys) > 0 {
		c.key = req.keys[0]
	}
	if c.owed != nil && !(req.op == opQueuePop && req.keys[0] == *c.owed) {
		s.passOn(c)
	}
	// A client asks one thing at a time. If it asks the next while a WAIT is out, it has given the WAIT up, and the
	// WAIT's answer would be taken for that of the new request. New clients say so with CANCEL_WAIT; old ones time out
	// and go on, so there even a SET, which has no answer, ends the wait.
	if c.wait != nil && (c.legacy || req.op.answered()) {
		s.unpark(c)
	}
	var m message
	switch req.op {
	case opValidate:
		if req.n != magic {
			return errors.New("VALIDATE with a wrong magic number")
		}
		return nil
	case opPing:
		m.u32(uint32(req.n))
	case opSet, opMultiSet:
		for i, key := range req.keys {
			if err := s.set(key, req.values[i]); err != nil {
				return err
			}
		}
		return nil
	case opAppend:
		return s.append(req.keys[0], req.values[0])
	case opCompareSet:
		v, err := s.compareSet(req.keys[0], req.values[0], req.values[1])
		if err != nil {
			return err
		}
		m.bytes(v)
	case opGet, opMultiGet:
		for _, key := range req.keys {
			m.bytes(s.data[key])
		}
	case opAdd:
		n, err := s.add(req.keys[0], req.n)
		if err != nil {
			return err
		}
		s.wake(req.keys[0], wakeAll)
		m.i64(n)
	case opCheck:
		m.u8(checkReady)
		if slices.ContainsFunc(req.keys, s.lacks) {
			m = oneByte(checkNotReady)
		}
	case opWait:
		return s.park(c, req.keys, false)
	case opBarrier:
		return s.barrier(c, req.keys[0], req.n)
	case opCancelWait:
		m.u8(waitCancelled)
	case opNumKeys:
		m.i64(int64(len(s.data)))
	case opDelete:
		m.i64(s.delete(req.keys[0]))
	case opListKeys:
		m.i64(int64(len(s.data)))
		for key := range s.data {
			m.str(key)
		}
	case opQueuePush:
		return s.queuePush(req.keys[0], req.values[0])
	case opQueuePop:
		s.queuePop(c, req.keys[0], &m)
	case opQueueLen:
		m.i64(int64(len(s.queues[req.keys[0]])))
	case opWatch:
		if err := s.watch(c, req.keys[0]); err != nil {
			return err
		}
		m.u8(watchRegistered)
	}
	c.out.push(m)
	return nil
}

func (s *store) take(n int64) error {
	if !s.budget.take(n) {
		return errMemory
	}
	s.held += n
	return nil
}

func (s *store) give(n int64) {
	s.held -= n
	s.budget.give(n)
}

// lacks reports whether a WAIT for key has to wait.
func (s *store) lacks(key string) bool {
	_, ok := s.data[key]
	return !ok && len(s.queues[key]) == 0
}

// put stores a value and tells the watchers. It wakes nobody.
func (s *store) put(key string, v []byte, kind byte) error {
	old, existed := s.data[key]
	more := int64(len(v) - len(old))
	if !existed {
		if len(s.data) >= s.limits.Stored {
			return fmt.Errorf("%d keys in the store, limit %d", len(s.data)+1, s.limits.Stored)
		}
		more += int64(len(key)) + itemCost
	}
	if more < 0 {
		s.give(-more)
	} else if err := s.take(more); err != nil {
		return err
	}
	s.data[key] = v
	if !existed && kind == keyUpdated {
		kind = keyCreated
	}
	s.tell(key, kind, old, v)
	return nil
}

func (s *store) set(key string, v []byte) error {
	if err := s.put(key, v, keyUpdated); err != nil {
		return err
	}
	s.wake(key, wakeAll)
	return nil
}

func (s *store) append(key string, v []byte) error {
	old, existed := s.data[key]
	kind := byte(keyAppended)
	if !existed {
		kind = keyCreated
	}
	// The old value may still be on its way to somebody: append writes behind its end or copies, never over it.
	if err := s.put(key, append(old, v...), kind); err != nil {
		return err
	}
	s.wake(key, wakeAll)
	return nil
}

// compareSet answers an expected value that was not there with itself, as PyTorch does, although the key is missing.
func (s *store) compareSet(key string, expected, desired []byte) ([]byte, error) {
	current, existed := s.data[key]
	switch {
	case !existed && len(expected) > 0:
		return expected, nil
	case existed && string(current) != string(expected):
		return current, nil
	}
	return desired, s.set(key, desired)
}

// add keeps the sum as decimal text, which is what a GET of a counter is expected to give. It wakes nobody.
func (s *store) add(key string, delta int64) (int64, error) {
	n := leadingInt(string(s.data[key])) + delta
	return n, s.put(key, strconv.AppendInt(nil, n, 10), keyUpdated)
}

// leadingInt reads as C's strtoll: blanks, a sign, digits, and no complaint about the rest.
func leadingInt(text string) int64 {
	text = strings.TrimLeft(text, " \t\n\v\f\r")
	end := 0
	if text != "" && (text[0] == '-' || text[0] == '+') {
		end = 1
	}
	for end < len(text) && '0' <= text[end] && text[end] <= '9' {
		end++
	}
	n, _ := strconv.ParseInt(text[:end], 10, 64) // 0 without digits, the nearest value out of range
	return n
}

func (s *store) delete(key string) int64 {
	old, existed := s.data[key]
	if !existed {
		return 0
	}
	delete(s.data, key)
	s.give(int64(len(key)+len(old)) + itemCost)
	s.tell(key, keyDeleted, old, nil)
	return 1
}
