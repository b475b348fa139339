package c10d

import (
	"container/list"
	"fmt"
)

// Whom a change of a key wakes.
type audience uint8

const (
	wakeAll    audience = iota // waits and barriers
	wakePlain                  // waits only: a barrier is not complete because it has begun
	wakeOneFor                 // waits, up to the first whose last missing key this was: a queue's item is for one
)

// park answers at once if nothing is missing, else when the last missing key appears.
func (s *store) park(c *caller, keys []string, barrier bool) error {
	w := &waiter{caller: c, missing: map[string]*list.Element{}, barrier: barrier}
	for _, key := range keys {
		if barrier || s.lacks(key) {
			w.missing[key] = nil // once, even if it is named twice
		}
	}
	if len(w.missing) == 0 {
		c.out.push(oneByte(waitDone))
		return nil
	}
	for key := range w.missing {
		w.cost += int64(len(key)) + 2*itemCost
	}
	if err := s.take(w.cost); err != nil {
		return err
	}
	for key := range w.missing {
		if s.waiting[key] == nil {
			s.waiting[key] = list.New()
		}
		w.missing[key] = s.waiting[key].PushBack(w)
	}
	c.wait = w
	return nil
}

// unpark drops the caller's wait without an answer.
func (s *store) unpark(c *caller) {
	w := c.wait
	if w == nil {
		return
	}
	c.wait = nil
	s.give(w.cost)
	for key, place := range w.missing {
		s.waiting[key].Remove(place)
		if s.waiting[key].Len() == 0 {
			delete(s.waiting, key)
		}
	}
}

// wake tells those who wait for key that it is there, first come first served.
func (s *store) wake(key string, whom audience) {
	line := s.waiting[key]
	if line == nil {
		return
	}
	var next *list.Element
	for place := line.Front(); place != nil; place = next {
		next = place.Next()
		w := place.Value.(*waiter)
		if w.barrier && whom != wakeAll {
			continue
		}
		line.Remove(place)
		delete(w.missing, key)
		if len(w.missing) > 0 {
			continue
		}
		s.give(w.cost)
		w.caller.wait = nil
		s.tellOther(w.caller, oneByte(waitDone))
		if whom == wakeOneFor {
			owed := key
			w.caller.owed = &owed
			break
		}
	}
	if line.Len() == 0 {
		delete(s.waiting, key)
	}
}

// barrier counts the caller in; the one that completes the world answers them all.
func (s *store) barrier(c *caller, key string, world int64) error {
	n, err := s.add(key, 1)
	if err != nil {
		return err
	}
	if n >= world {
		s.wake(key, wakeAll)
		c.out.push(oneByte(waitDone))
		return nil
	}
	s.wake(key, wakePlain)
	return s.park(c, []string{key}, true)
}

func (s *store) queuePush(key string, v []byte) error {
	if err := s.take(int64(len(key)+len(v)) + itemCost); err != nil {
		return err
	}
	s.queues[key] = append(s.queues[key], v)
	s.wake(key, wakeOneFor)
	return nil
}

// queuePop answers with the length before, and with the oldest item if there is one. It never waits: a client WAITs first.
func (s *store) queuePop(c *caller, key string, m *message) {
	c.owed = nil
	items := s.queues[key]
	m.i64(int64(len(items)))
	if len(items) == 0 {
		return
	}
	m.bytes(items[0])
	s.give(int64(len(key)+len(items[0])) + itemCost)
	items[0] = nil
	if len(items) == 1 {
		delete(s.queues, key)
		return
	}
	s.queues[key] = items[1:]
}

// passOn wakes another for the item that this caller was woken for and did not take, so that it cannot lie there
// while others wait for it.
func (s *store) passOn(c *caller) {
	if c.owed == nil {
		return
	}
	key := *c.owed
	c.owed = nil
	if len(s.queues[key]) > 0 {
		s.wake(key, wakeOneFor)
	}
}

// watch has the caller told of each change of key, as 1.13 and 2.0 know it.
func (s *store) watch(c *caller, key string) error {
	if _, already := c.watched[key]; already {
		return nil
	}
	if len(c.watched) >= s.limits.Keys {
		return fmt.Errorf("one connection watches %d keys, limit %d", len(c.watched)+1, s.limits.Keys)
	}
	if err := s.take(int64(len(key)) + itemCost); err != nil {
		return err
	}
	if c.watched == nil {
		c.watched = map[string]struct{}{}
	}
	if s.watching[key] == nil {
		s.watching[key] = map[*caller]struct{}{}
	}
	c.watched[key] = struct{}{}
	s.watching[key][c] = struct{}{}
	return nil
}

// tell pushes a change to the watchers of key.
func (s *store) tell(key string, kind byte, before, after []byte) {
	if len(s.watching[key]) == 0 {
		return
	}
	var m message
	m.u8(kind)
	m.str(key)
	m.bytes(before)
	m.bytes(after)
	for c := range s.watching[key] {
		s.tellOther(c, m)
	}
}
