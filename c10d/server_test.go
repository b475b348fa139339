package c10d

import (
	"testing"
)

// exchange is one step of a conversation: a request, and the answer to it, if any.
type exchange struct {
	op   string
	body []byte
	want []byte
}

var one, zero = []byte{1}, []byte{0}

// conversations are told once and held in every release that knows their requests.
var conversations = map[string][]exchange{
	"set and get, last value wins": {
		{"set", cat(str("/a"), str("1")), nil},
		{"set", cat(str("/a"), str("22")), nil},
		{"wait", cat(u64(1), str("/a")), zero},
		{"get", str("/a"), str("22")},
	},
	"an empty value is a value": {
		{"set", cat(str("/a"), str("")), nil},
		{"check", cat(u64(1), str("/a")), zero},
		{"get", str("/a"), str("")},
	},
	"get of a missing key is empty, not an error": {
		{"get", str("/none"), str("")},
		{"num_keys", nil, u64(0)},
	},
	"keys are bytes": {
		{"set", cat(str("\x00\xff\n"), str("x")), nil},
		{"get", str("\x00\xff\n"), str("x")},
		{"set", cat(str(""), str("empty key")), nil},
		{"get", str(""), str("empty key")},
	},
	"a counter is decimal text": {
		{"add", cat(str("init/"), u64(1)), u64(1)},
		{"add", cat(str("init/"), u64(4)), u64(5)},
		{"get", str("init/"), str("5")},
		{"add", cat(str("init/"), u64(-7)), u64(-2)},
		{"get", str("init/"), str("-2")},
		{"num_keys", nil, u64(1)},
	},
	"add takes text as strtoll does": {
		{"set", cat(str("/n"), str("  +41 apples")), nil},
		{"add", cat(str("/n"), u64(1)), u64(42)},
		{"set", cat(str("/n"), str("apples")), nil},
		{"add", cat(str("/n"), u64(3)), u64(3)},
		{"set", cat(str("/n"), str("99999999999999999999")), nil},
		{"add", cat(str("/n"), u64(0)), u64(1<<63 - 1)},
	},
	"compare and set": {
		{"compare_set", cat(str("/c"), str("x"), str("y")), str("x")}, // absent, something expected: answered with it, not stored
		{"check", cat(u64(1), str("/c")), one},
		{"compare_set", cat(str("/c"), str(""), str("first")), str("first")},
		{"compare_set", cat(str("/c"), str("wrong"), str("no")), str("first")},
		{"compare_set", cat(str("/c"), str(""), str("no")), str("first")},
		{"compare_set", cat(str("/c"), str("first"), str("second")), str("second")},
		{"get", str("/c"), str("second")},
	},
	"check wants all keys": {
		{"set", cat(str("/a"), str("1")), nil},
		{"check", cat(u64(2), str("/a"), str("/b")), one},
		{"set", cat(str("/b"), str("2")), nil},
		{"check", cat(u64(2), str("/a"), str("/b")), zero},
		{"wait", cat(u64(3), str("/a"), str("/b"), str("/a")), zero},
		{"wait", u64(0), zero},
	},
	"delete": {
		{"set", cat(str("/a"), str("1")), nil},
		{"delete", str("/a"), u64(1)},
		{"delete", str("/a"), u64(0)},
		{"num_keys", nil, u64(0)},
	},
	"append": {
		{"append", cat(str("/a"), str("ab")), nil},
		{"append", cat(str("/a"), str("")), nil},
		{"append", cat(str("/a"), str("cd")), nil},
		{"get", str("/a"), str("abcd")},
	},
	"several keys at once": {
		{"multi_set", cat(u64(2), str("/a"), str("1"), str("/b"), str("2")), nil},
		{"multi_get", cat(u64(3), str("/b"), str("/none"), str("/a")), cat(str("2"), str(""), str("1"))},
		{"multi_get", u64(0), nil},
		{"multi_set", u64(0), nil},
		{"num_keys", nil, u64(2)},
	},
	"a wait taken back": {
		{"wait", cat(u64(1), str("/never")), nil},
		{"cancel_wait", nil, one},
		{"set", cat(str("/never"), str("late")), nil},
		{"num_keys", nil, u64(1)},
	},
	"cancelling nothing is answered as well": {
		{"add", cat(str("/a"), u64(1)), u64(1)},
		{"multi_get", u64(0), nil}, // settles the release
		{"cancel_wait", nil, one},
	},
	"ping": {
		{"ping", []byte{1, 2, 3, 4}, []byte{1, 2, 3, 4}},
	},
	"validate again": {
		{"validate", []byte{0xce, 0xf7, 0x85, 0x3c}, nil},
		{"num_keys", nil, u64(0)},
	},
	"queues": {
		{"queue_len", str("/q"), u64(0)},
		{"queue_pop", str("/q"), u64(0)},
		{"queue_push", cat(str("/q"), str("first")), nil},
		{"queue_push", cat(str("/q"), str("")), nil},
		{"queue_len", str("/q"), u64(2)},
		{"check", cat(u64(1), str("/q")), zero},
		{"wait", cat(u64(1), str("/q")), zero},
		{"num_keys", nil, u64(0)},
		{"queue_pop", str("/q"), cat(u64(2), str("first"))},
		{"queue_pop", str("/q"), cat(u64(1), str(""))},
		{"queue_pop", str("/q"), u64(0)},
		{"check", cat(u64(1), str("/q")), one},
	},
	"list keys": {
		{"list_keys", nil, u64(0)},
		{"set", cat(str("/a"), str("1")), nil},
		{"queue_push", cat(str("/q"), str("x")), nil},
		{"list_keys", nil, cat(u64(1), str("/a"))},
	},
	"a barrier of one": {
		{"barrier", cat(str("/b"), u64(1)), zero},
		{"get", str("/b"), str("1")},
		{"barrier", cat(str("/b"), u64(1)), zero},
	},
	"watch": {
		{"watch", str("/w"), []byte{3}},
	},
}

func TestConversationsInEveryRelease(t *testing.T) { bothWays(t, conversationsInEveryRelease) }

func conversationsInEveryRelease(t *testing.T) {
	for _, gen := range generations {
		for name, steps := range conversations {
			if !gen.knows(steps) {
				continue
			}
			t.Run(gen.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				c := dialRaw(t, startServer(t, ServerOptions{}), gen)
				for _, step := range steps {
					c.send(step.op, step.body)
					c.expect(step.want)
				}
				if name != "watch" { // a watching connection carries nothing else
					c.sync()
				}
			})
		}
	}
}

func (g generation) knows(steps []exchange) bool {
	for _, step := range steps {
		if _, ok := g.codes[step.op]; !ok {
			return false
		}
	}
	return true
}

// The kernel hands over bytes as it pleases: each byte of each request in a packet of its own must do as well.
func TestRequestsMayComeByteByByte(t *testing.T) { bothWays(t, requestsMayComeByteByByte) }

func requestsMayComeByteByByte(t *testing.T) {
	for _, gen := range generations {
		c := dialRaw(t, startServer(t, ServerOptions{}), gen)
		request := cat([]byte{gen.codes["set"]}, str("/key"), str("value"), []byte{gen.codes["get"]}, str("/key"))
		for _, b := range request {
			c.write([]byte{b})
		}
		c.expect(str("value"))
	}
}

func TestReleasesOnOnePort(t *testing.T) { bothWays(t, releasesOnOnePort) }

func releasesOnOnePort(t *testing.T) {
	s := startServer(t, ServerOptions{})
	for i, gen := range generations {
		dialRaw(t, s, gen).send("set", str("/from "+gen.name), str("x"))
		c := dialRaw(t, s, torchNew)
		c.send("wait", u64(1), str("/from "+gen.name))
		c.expect(zero)
		c.send("num_keys")
		c.expect(u64(i + 1))
	}
}

// Which release an old client is may be laid down, for clients that hide behind one address.
func TestLegacyByConfiguration(t *testing.T) { bothWays(t, legacyByConfiguration) }

func legacyByConfiguration(t *testing.T) {
	hidden := torch113
	hidden.second = false
	c := dialRaw(t, startServer(t, ServerOptions{Legacy: LegacyWatch}), hidden)
	c.send("delete", str("/a"))
	c.expect(u64(0))

	s := startServer(t, ServerOptions{Legacy: LegacyNoWatch})
	dialRaw(t, s, torch113) // a silent connection that would mislead
	c = dialRaw(t, s, torch21)
	c.send("append", str("/a"), str("x"))
	c.send("delete", str("/a"))
	c.expect(u64(1))
}

func TestWatchersHearOfChanges(t *testing.T) { bothWays(t, watchersHearOfChanges) }

func watchersHearOfChanges(t *testing.T) {
	s := startServer(t, ServerOptions{})
	watcher := dialRaw(t, s, torch20)
	watcher.send("watch", str("/w"))
	watcher.expect([]byte{3})

	c := dialRaw(t, s, torch20)
	c.send("set", str("/w"), str("a"))
	watcher.expect([]byte{1}, str("/w"), str(""), str("a"))
	c.send("set", str("/w"), str("b"))
	watcher.expect([]byte{0}, str("/w"), str("a"), str("b"))
	c.send("set", str("/other"), str("b"))
	c.send("append", str("/w"), str("c"))
	watcher.expect([]byte{4}, str("/w"), str("b"), str("bc"))
	c.send("delete", str("/w"))
	c.expect(u64(1))
	watcher.expect([]byte{2}, str("/w"), str("bc"), str(""))
}
