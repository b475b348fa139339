package collective

import (
	"fmt"
	"sync/atomic"
	"unsafe"
)

// A segment is the memory that one rank offers to the ranks of its host: counters that say how far it is, a word to
// sleep on, and slots that blocks of data go through. Its owner writes the slots and counters; anyone may ring the bell.
//
// Block b of a group lies in slot b modulo slots. What the owner put there may be read by the others once its counter
// "in" has passed b, what it made of theirs once "done" has, and the slot is free again when everybody's "out" has.
type segment struct {
	mem     []byte
	counter [counters]*atomic.Uint32
	want    *atomic.Uint32 // what its owner sleeps for: see [local.code]
	bell    *atomic.Uint32 // what it sleeps on
	gone    *atomic.Uint32 // 1 once it has left the group
}

// The counters of a segment count blocks.
const (
	in   = iota // blocks whose data is in the slot
	done        // blocks of which this rank's part is reduced
	out         // blocks that this rank needs nothing of any more
	counters
)

const (
	slots = 8
	// slotMost is the most that a block holds, and slotLeast the least, however many ranks share a cache.
	slotMost, slotLeast = 512 << 10, 64 << 10
	// slotsTotal is what the slots of all ranks of a host may take together, as long as slotLeast allows it: what goes
	// through them should not go through main memory too.
	slotsTotal = 16 << 20

	// Where things lie. What different ranks write is kept apart by two cache lines.
	tokenAt, tokenSize = 0, 16
	processorsAt       = 64
	countersAt         = 256
	wantAt, bellAt     = 384, 512
	goneAt             = 640
	headersAt          = 1024
	slotsAt            = 4096
	segmentSize        = slotsAt + slots*slotMost
)

func segmentIn(mem []byte) *segment {
	word := func(at int) *atomic.Uint32 { return (*atomic.Uint32)(unsafe.Pointer(&mem[at])) }
	s := &segment{mem: mem, want: word(wantAt), bell: word(bellAt), gone: word(goneAt)}
	for c := range s.counter {
		s.counter[c] = word(countersAt + 4*c)
	}
	return s
}

// newSegment makes this rank's memory and returns the descriptor by which others reach it.
func newSegment(token []byte) (*segment, int, error) {
	mem, fd, err := makeMemory(segmentSize)
	if err != nil {
		return nil, 0, err
	}
	copy(mem[tokenAt:], token)
	for i, set := range processors() {
		*(*uint64)(unsafe.Pointer(&mem[processorsAt+8*i])) = set
	}
	return segmentIn(mem), fd, nil
}

// openSegment maps another rank's memory. The token shows that it is the one that was meant: machines that were copied
// while they ran may have the same identity.
func openSegment(s seat) (*segment, error) {
	mem, err := openMemory(s.pid, s.fd, segmentSize)
	if err != nil {
		return nil, err
	}
	if string(mem[tokenAt:tokenAt+tokenSize]) != s.token {
		dropMemory(mem)
		return nil, fmt.Errorf("process %d here is another one", s.pid)
	}
	return segmentIn(mem), nil
}

func (s *segment) header(block uint32) []byte {
	at := headersAt + int(block%slots)*headerSize
	return s.mem[at : at+headerSize]
}

// slot is the room for a block of size bytes.
func (s *segment) slot(block uint32, size int) []byte {
	at := slotsAt + int(block%slots)*size
	return s.mem[at : at+size : at+size]
}

// mayRunOn adds the owner's processors to a set.
func (s *segment) mayRunOn(set *[16]uint64) {
	for i := range set {
		set[i] |= *(*uint64)(unsafe.Pointer(&s.mem[processorsAt+8*i]))
	}
}
