package collective

import (
	"encoding/binary"
	"fmt"
)

// kind is which collective a header begins.
type kind uint8

const (
	kindBarrier kind = iota + 1
	kindAllReduce
	kindReduceScatter
	kindAllGather
	kindBroadcast
)

func (k kind) String() string {
	names := [...]string{"?", "barrier", "all-reduce", "reduce-scatter", "all-gather", "broadcast"}
	return names[min(int(k), len(names)-1)%len(names)]
}

// elem is what a buffer is made of.
type elem uint8

const (
	elemByte elem = iota + 1
	elemFloat32
	elemFloat64
)

func (e elem) size() int { return [...]int{1, 1, 4, 8}[e&3] }
func (e elem) String() string {
	return [...]string{"?", "byte", "float32", "float64"}[e&3]
}

// headerSize is what a collective costs on each link besides its data.
const headerSize = 32

// header says which collective the bytes behind it belong to. Both ends of a link must be in the same one.
type header struct {
	kind  kind
	elem  elem
	op    Op
	root  int
	seq   uint64 // how many collectives the group began before and with this one
	bytes uint64 // length of the buffer on each rank
}

var headerMagic = [4]byte{'n', 'x', 'd', '1'}

func (h header) put(buf []byte) {
	copy(buf, headerMagic[:])
	buf[4], buf[5], buf[6], buf[7] = byte(h.kind), byte(h.elem), byte(h.op), 0
	binary.LittleEndian.PutUint64(buf[8:], uint64(h.root))
	binary.LittleEndian.PutUint64(buf[16:], h.seq)
	binary.LittleEndian.PutUint64(buf[24:], h.bytes)
}

// parseHeader refuses what no peer of ours writes.
func parseHeader(buf []byte) (header, bool) {
	h := header{
		kind: kind(buf[4]), elem: elem(buf[5]), op: Op(buf[6]),
		root:  int(binary.LittleEndian.Uint64(buf[8:])),
		seq:   binary.LittleEndian.Uint64(buf[16:]),
		bytes: binary.LittleEndian.Uint64(buf[24:]),
	}
	ok := [4]byte(buf[:4]) == headerMagic && h.kind >= kindBarrier && h.kind <= kindBroadcast &&
		h.elem >= elemByte && h.elem <= elemFloat64 && h.op <= Max
	return h, ok
}

// String says it as a person would: "all-reduce #7 (sum of 1000 float32)".
func (h header) String() string {
	count := h.bytes / uint64(h.elem.size())
	switch h.kind {
	case kindBarrier:
		return fmt.Sprintf("%v #%d", h.kind, h.seq)
	case kindAllReduce, kindReduceScatter:
		return fmt.Sprintf("%v #%d (%v of %d %v)", h.kind, h.seq, h.op, count, h.elem)
	case kindBroadcast:
		return fmt.Sprintf("%v #%d (%d %v from rank %d)", h.kind, h.seq, count, h.elem, h.root)
	}
	return fmt.Sprintf("%v #%d (%d %v)", h.kind, h.seq, count, h.elem)
}
