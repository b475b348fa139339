package c10d

import "testing"

// park sends a wait and returns when the server has it in line.
func (r *raw) park(s *Server, key string) {
	r.t.Helper()
	before := s.waiters(key)
	r.send("wait", u64(1), str(key))
	eventually(r.t, "a waiter for "+key, func() bool { return s.waiters(key) == before+1 })
}

// Whatever brings a key into being wakes those who wait for it, in either generation.
func TestWhatWakesAWaiter(t *testing.T) { bothWays(t, whatWakesAWaiter) }

func whatWakesAWaiter(t *testing.T) {
	births := map[string]struct{ body, answer []byte }{
		"set":         {cat(str("/k"), str("v")), nil},
		"add":         {cat(str("/k"), u64(1)), u64(1)},
		"compare_set": {cat(str("/k"), str(""), str("v")), str("v")},
		"append":      {cat(str("/k"), str("v")), nil},
		"multi_set":   {cat(u64(1), str("/k"), str("v")), nil},
		"queue_push":  {cat(str("/k"), str("v")), nil},
		"barrier":     {cat(str("/k"), u64(1)), zero},
	}
	for _, gen := range []generation{torch113, torchNew} {
		for op, birth := range births {
			t.Run(gen.name+"/"+op, func(t *testing.T) {
				t.Parallel()
				s := startServer(t, ServerOptions{})
				waiter, other := dialRaw(t, s, gen), dialRaw(t, s, torchNew)
				waiter.park(s, "/k")
				other.send(op, birth.body)
				other.expect(birth.answer)
				waiter.expect(zero)
				waiter.sync()
			})
		}
	}
}

func TestWaitEndsWithTheLastKey(t *testing.T) { bothWays(t, waitEndsWithTheLastKey) }

func waitEndsWithTheLastKey(t *testing.T) {
	s := startServer(t, ServerOptions{})
	waiter, other := dialRaw(t, s, torchNew), dialRaw(t, s, torchNew)
	other.send("set", str("/a"), str(""))
	other.sync()
	waiter.send("wait", u64(4), str("/a"), str("/b"), str("/c"), str("/b")) // one of them twice
	eventually(t, "the wait", func() bool { return s.waiters("/c") == 1 })
	other.send("set", str("/b"), str(""))
	other.sync()
	if n := s.waiters("/c"); n != 1 {
		t.Fatalf("%d waiters for the last key", n)
	}
	other.send("set", str("/c"), str(""))
	waiter.expect(zero)
	waiter.sync()
}

func TestCancelledWaitIsForgotten(t *testing.T) { bothWays(t, cancelledWaitIsForgotten) }

func cancelledWaitIsForgotten(t *testing.T) {
	for _, gen := range []generation{torch20, torch21, torchNew} {
		s := startServer(t, ServerOptions{})
		c, other := dialRaw(t, s, gen), dialRaw(t, s, torchNew)
		c.park(s, "/k")
		c.send("cancel_wait")
		c.expect(one)
		if n := s.waiters("/k"); n != 0 {
			t.Fatalf("%s: %d waiters are left", gen.name, n)
		}
		other.send("set", str("/k"), str("v"))
		other.sync()
		c.sync() // and hears nothing of it
	}
}

// The answer and the cancellation may cross: then both are answered, in this order.
func TestCancelCrossesTheAnswer(t *testing.T) { bothWays(t, cancelCrossesTheAnswer) }

func cancelCrossesTheAnswer(t *testing.T) {
	s := startServer(t, ServerOptions{})
	c, other := dialRaw(t, s, torchNew), dialRaw(t, s, torchNew)
	c.park(s, "/k")
	other.send("set", str("/k"), str("v"))
	other.sync()
	c.send("cancel_wait")
	c.expect(zero, one)
	c.sync()
}

// 1.13 knows no CANCEL_WAIT: it times out by itself and goes on. A late answer would be read as that of its next request.
func TestOldClientGoesOnAfterItsTimeout(t *testing.T) { bothWays(t, oldClientGoesOnAfterItsTimeout) }

func oldClientGoesOnAfterItsTimeout(t *testing.T) {
	s := startServer(t, ServerOptions{})
	c := dialRaw(t, s, torch113)
	c.park(s, "/k")
	c.send("set", str("/k"), str("mine"))
	c.send("get", str("/k"))
	c.expect(str("mine"))
	c.park(s, "/l")
	c.park(s, "/m") // instead of /l
	if n := s.waiters("/l"); n != 0 {
		t.Fatalf("%d waiters for a wait that was given up", n)
	}
}

func TestDisconnectCleansUp(t *testing.T) { bothWays(t, disconnectCleansUp) }

func disconnectCleansUp(t *testing.T) {
	for _, gen := range []generation{torch113, torchNew} {
		s := startServer(t, ServerOptions{})
		c, other := dialRaw(t, s, gen), dialRaw(t, s, torchNew)
		c.send("set", str("/data"), str("stays"))
		c.send("add", str("/count"), u64(3))
		c.expect(u64(3))
		c.send("wait", u64(2), str("/k"), str("/l"))
		eventually(t, "the wait", func() bool { return s.waiters("/k") == 1 })
		c.conn.Close()
		eventually(t, "no waiter", func() bool { return s.waiters("/k") == 0 && s.waiters("/l") == 0 })
		other.send("multi_get", u64(2), str("/data"), str("/count"))
		other.expect(str("stays"), str("3"))
	}
}

func TestQueuePushWakesOne(t *testing.T) { bothWays(t, queuePushWakesOne) }

func queuePushWakesOne(t *testing.T) {
	s := startServer(t, ServerOptions{})
	first, second, pusher := dialRaw(t, s, torchNew), dialRaw(t, s, torchNew), dialRaw(t, s, torchNew)
	first.park(s, "/q")
	second.park(s, "/q")
	pusher.send("queue_push", str("/q"), str("x"))
	first.expect(zero)
	if n := s.waiters("/q"); n != 1 {
		t.Fatalf("%d still wait, want 1", n)
	}
	first.send("queue_pop", str("/q"))
	first.expect(u64(1), str("x"))
	pusher.send("queue_push", str("/q"), str("y"))
	second.expect(zero)
	second.send("queue_pop", str("/q"))
	second.expect(u64(1), str("y"))
}

// An item must not lie there while others wait for it, because the one that was woken for it went away.
func TestWakeUpIsPassedOn(t *testing.T) { bothWays(t, wakeUpIsPassedOn) }

func wakeUpIsPassedOn(t *testing.T) {
	for name, leave := range map[string]func(*raw){
		"disconnects":      func(r *raw) { r.conn.Close() },
		"had cancelled":    func(r *raw) { r.send("cancel_wait") },
		"does other thing": func(r *raw) { r.send("get", str("/x")) },
	} {
		t.Run(name, func(t *testing.T) {
			s := startServer(t, ServerOptions{})
			first, second, pusher := dialRaw(t, s, torchNew), dialRaw(t, s, torchNew), dialRaw(t, s, torchNew)
			first.park(s, "/q")
			second.park(s, "/q")
			pusher.send("queue_push", str("/q"), str("x"))
			first.expect(zero)
			leave(first)
			second.expect(zero)
			second.send("queue_pop", str("/q"))
			second.expect(u64(1), str("x"))
		})
	}
}

func TestBarrier(t *testing.T) { bothWays(t, barrier) }

func barrier(t *testing.T) {
	s := startServer(t, ServerOptions{})
	plain := dialRaw(t, s, torchNew)
	plain.park(s, "/b")
	var ranks []*raw
	for range 3 {
		r := dialRaw(t, s, torchNew)
		r.send("barrier", str("/b"), u64(4))
		ranks = append(ranks, r)
		eventually(t, "ranks in the barrier", func() bool { return s.waiters("/b") == len(ranks) })
	}
	plain.expect(zero) // the key exists since the first came
	ranks[0].send("cancel_wait")
	ranks[0].expect(one)
	last := dialRaw(t, s, torchNew)
	last.send("barrier", str("/b"), u64(4)) // the one that took itself back stays counted, as in PyTorch
	for _, r := range append(ranks[1:], last) {
		r.expect(zero)
	}
	ranks[0].sync()
}

func TestSetOfTheKeyOpensABarrier(t *testing.T) { bothWays(t, setOfTheKeyOpensABarrier) }

func setOfTheKeyOpensABarrier(t *testing.T) {
	s := startServer(t, ServerOptions{})
	c, other := dialRaw(t, s, torchNew), dialRaw(t, s, torchNew)
	c.send("barrier", str("/b"), u64(2))
	eventually(t, "one in the barrier", func() bool { return s.waiters("/b") == 1 })
	other.send("set", str("/b"), str("open"))
	c.expect(zero)
}
