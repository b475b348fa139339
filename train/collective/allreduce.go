package collective

import (
	"fmt"
	"time"
)

// AllReduce replaces data on every rank with the reduction over all ranks, element by element. All ranks pass the
// same length and operation. After an error data holds anything.
func AllReduce[T Float](g *Group, data []T, op Op) error {
	h := header{kind: kindAllReduce, elem: elemOf[T](), op: op}
	if op > Max {
		return fmt.Errorf("all-reduce: there is no operation %d", uint8(op))
	}
	buf := bytesOf(data)
	if len(buf) <= treeLimit {
		return g.reduceByTree(h, buf)
	}
	return g.reduceByRing(h, buf)
}

// ReduceScatter reduces src over all ranks and gives each rank its part: dst is part Rank of Size equal parts.
// len(src) must be Size times len(dst); src is left as it was.
func ReduceScatter[T Float](g *Group, dst, src []T, op Op) error {
	h := header{kind: kindReduceScatter, elem: elemOf[T](), op: op}
	if op > Max {
		return fmt.Errorf("reduce-scatter: there is no operation %d", uint8(op))
	}
	if len(src) != len(dst)*g.size {
		return fmt.Errorf("reduce-scatter: %d elements do not make %d parts of %d", len(src), g.size, len(dst))
	}
	return g.scatter(h, bytesOf(dst), bytesOf(src))
}

// AllGather collects src of every rank in dst, in the order of ranks. len(dst) must be Size times len(src).
func AllGather[T Element](g *Group, dst, src []T) error {
	h := header{kind: kindAllGather, elem: elemOf[T]()}
	if len(dst) != len(src)*g.size {
		return fmt.Errorf("all-gather: %d elements have no room for %d parts of %d", len(dst), g.size, len(src))
	}
	return g.gather(h, bytesOf(dst), bytesOf(src))
}

// Broadcast copies data of rank root to all ranks. All ranks pass the same length.
func Broadcast[T Element](g *Group, data []T, root int) error {
	h := header{kind: kindBroadcast, elem: elemOf[T](), root: root}
	if root < 0 || root >= g.size {
		return fmt.Errorf("broadcast: there is no rank %d among %d", root, g.size)
	}
	return g.broadcast(h, bytesOf(data))
}

// Barrier returns when all ranks have called it. After limit (0: the group's) it fails on every rank with a
// [TimeoutError] that names those who have not.
func (g *Group) Barrier(limit time.Duration) error {
	if err := g.begin(header{kind: kindBarrier, elem: elemByte}, limit); err != nil {
		return err
	}
	err := g.treeReduce(nil, fold{})
	if err == nil {
		err = g.treeSpread(nil)
	}
	return g.end(err)
}

// reduceByTree sends few messages: for small buffers.
func (g *Group) reduceByTree(h header, buf []byte) error {
	h.bytes = uint64(len(buf))
	if err := g.begin(h, 0); err != nil {
		return err
	}
	f := foldOf(h.elem, h.op)
	err := g.treeReduce(buf, f)
	if err == nil && g.rank == 0 && f.divide != nil {
		f.divide(buf, g.size)
	}
	if err == nil {
		err = g.treeSpread(buf)
	}
	return g.end(err)
}

// reduceByRing sends few bytes: for large buffers.
func (g *Group) reduceByRing(h header, buf []byte) error {
	h.bytes = uint64(len(buf))
	if err := g.begin(h, 0); err != nil {
		return err
	}
	if g.size == 1 {
		return g.end(nil)
	}
	return g.end(g.stream.run(lap{
		head: g.current, buf: buf, unit: h.elem.size(), size: g.size, fold: foldOf(h.elem, h.op),
		first: g.rank, folds: g.size - 1, steps: 2 * (g.size - 1),
	}))
}

func (g *Group) scatter(h header, dst, src []byte) error {
	h.bytes = uint64(len(src))
	if err := g.begin(h, 0); err != nil {
		return err
	}
	if g.size == 1 {
		copy(dst, src)
		return g.end(nil)
	}
	if cap(g.work) < len(src) {
		g.work = aligned(len(src))
	}
	work := g.work[:len(src)]
	copy(work, src)
	err := g.stream.run(lap{
		head: g.current, buf: work, unit: h.elem.size(), size: g.size, fold: foldOf(h.elem, h.op),
		first: (g.rank + g.size - 1) % g.size, folds: g.size - 1, steps: g.size - 1,
	})
	if err == nil {
		copy(dst, work[g.rank*len(dst):])
	}
	return g.end(err)
}

func (g *Group) gather(h header, dst, src []byte) error {
	h.bytes = uint64(len(dst))
	if err := g.begin(h, 0); err != nil {
		return err
	}
	copy(dst[g.rank*len(src):], src)
	if g.size == 1 {
		return g.end(nil)
	}
	return g.end(g.stream.run(lap{
		head: g.current, buf: dst, unit: h.elem.size(), size: g.size, first: g.rank, steps: g.size - 1,
	}))
}

func (g *Group) broadcast(h header, buf []byte) error {
	h.bytes = uint64(len(buf))
	if err := g.begin(h, 0); err != nil {
		return err
	}
	return g.end(g.spread(buf, h.root))
}
