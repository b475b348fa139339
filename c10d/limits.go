package c10d

import "sync/atomic"

// Limits bound what one request and one server may hold. A zero field takes its default; a request beyond a limit costs
// its sender the connection, as in PyTorch's own server, and is logged.
type Limits struct {
	Key     int   // bytes of one key; default 8 KiB
	Payload int   // bytes of one value in a request; default 8 MiB
	Keys    int   // keys in one request, and keys watched by one connection; default 128 Ki
	Stored  int   // keys in the store, queues not counted; default 4 Mi
	Memory  int64 // bytes of keys, values, requests being read and answers not yet written, all together; default 1 GiB
	Conns   int   // open connections; one more is closed at once; default 16 Ki
}

func (l Limits) withDefaults() Limits {
	return Limits{
		Key:     positive(l.Key, 8<<10),
		Payload: positive(l.Payload, 8<<20),
		Keys:    positive(l.Keys, 128<<10),
		Stored:  positive(l.Stored, 4<<20),
		Memory:  positive(l.Memory, 1<<30),
		Conns:   positive(l.Conns, 16<<10),
	}
}

func positive[T int | int64](v, otherwise T) T {
	if v > 0 {
		return v
	}
	return otherwise
}

// itemCost is what a key or a value costs beside its own bytes: headers, map buckets, list elements.
const itemCost = 96

// budget is the memory that a server may still give away.
type budget struct {
	limit int64
	used  atomic.Int64
}

func (b *budget) take(n int64) bool {
	if b.used.Add(n) > b.limit {
		b.used.Add(-n)
		return false
	}
	return true
}

func (b *budget) give(n int64) { b.used.Add(-n) }
