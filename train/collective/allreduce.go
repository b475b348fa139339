package collective

import (
	"fmt"
	"time"
)

// AllReduce replaces data on every rank with the reduction over all ranks, element by element. All ranks pass the
// same length and operation. After an error data holds anything.
func AllReduce[T Float](g *Group, data []T, op Op) error {
	h := header{kind: kindAllReduce, elem: elemOf[T](), op: op, bytes: bytesIn(data)}
	if op > Max {
		return fmt.Errorf("all-reduce: there is no operation %d", uint8(op))
	}
	if err := g.begin(h, 0); err != nil {
		return err
	}
	if b := bytesOf(data); g.carried(h) {
		return g.end(g.byCarrier(g.carrier.AllReduce(b, 8*h.elem.size()), b, h.elem, op))
	}
	return g.end(g.reduce(bytesOf(data), h.elem, op))
}

// ReduceScatter reduces src over all ranks and gives each rank its part: dst is part Rank of Size equal parts.
// len(src) must be Size times len(dst); src is left as it was.
func ReduceScatter[T Float](g *Group, dst, src []T, op Op) error {
	h := header{kind: kindReduceScatter, elem: elemOf[T](), op: op, bytes: bytesIn(src)}
	if op > Max {
		return fmt.Errorf("reduce-scatter: there is no operation %d", uint8(op))
	}
	if len(src) != len(dst)*g.size {
		return fmt.Errorf("reduce-scatter: %d elements do not make %d parts of %d", len(src), g.size, len(dst))
	}
	if err := g.begin(h, 0); err != nil {
		return err
	}
	if d := bytesOf(dst); g.carried(h) {
		return g.end(g.byCarrier(g.carrier.ReduceScatter(d, bytesOf(src), 8*h.elem.size()), d, h.elem, op))
	}
	return g.end(g.scatter(bytesOf(dst), bytesOf(src), h.elem, op))
}

// AllGather collects src of every rank in dst, in the order of ranks. len(dst) must be Size times len(src).
func AllGather[T Element](g *Group, dst, src []T) error {
	h := header{kind: kindAllGather, elem: elemOf[T](), bytes: bytesIn(dst)}
	if len(dst) != len(src)*g.size {
		return fmt.Errorf("all-gather: %d elements have no room for %d parts of %d", len(dst), g.size, len(src))
	}
	if err := g.begin(h, 0); err != nil {
		return err
	}
	if g.carried(h) {
		return g.end(carriers(g.carrier.AllGather(bytesOf(dst), bytesOf(src))))
	}
	return g.end(g.gather(bytesOf(dst), bytesOf(src), h.elem))
}

// Broadcast copies data of rank root to all ranks. All ranks pass the same length.
func Broadcast[T Element](g *Group, data []T, root int) error {
	h := header{kind: kindBroadcast, elem: elemOf[T](), root: root, bytes: bytesIn(data)}
	if root < 0 || root >= g.size {
		return fmt.Errorf("broadcast: there is no rank %d among %d", root, g.size)
	}
	if err := g.begin(h, 0); err != nil {
		return err
	}
	if g.carried(h) {
		return g.end(carriers(g.carrier.Broadcast(bytesOf(data), root)))
	}
	return g.end(g.broadcast(bytesOf(data), root))
}

// Barrier returns when all ranks have called it. After limit (0: the group's) it fails on every rank with a
// [TimeoutError] that names those who have not.
func (g *Group) Barrier(limit time.Duration) error {
	if err := g.begin(header{kind: kindBarrier, elem: elemByte}, limit); err != nil {
		return err
	}
	return g.end(g.barrier())
}

func bytesIn[T Element](s []T) uint64 { return uint64(len(bytesOf(s))) }
