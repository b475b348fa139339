package c10d

import "encoding/binary"

// magic opens each connection of PyTorch >= 2.2, as the argument of VALIDATE.
const magic = 0x3C85F7CE

// op is a kind of request. The values are the opcodes of PyTorch >= 2.2; those of older releases are translated.
type op uint8

const (
	opValidate op = iota
	opSet
	opCompareSet
	opGet
	opAdd
	opCheck
	opWait
	opNumKeys
	opDelete
	opAppend
	opMultiGet
	opMultiSet
	opCancelWait
	opPing
	opQueuePush
	opQueuePop
	opQueueLen
	opListKeys
	opBarrier

	opWatch   op = 0x80 // 1.13 and 2.0 only
	opUnknown op = 0xff
)

// One-byte answers.
const (
	checkReady    = 0
	checkNotReady = 1

	waitDone      = 0
	waitCancelled = 1

	watchRegistered = 3
)

// Kinds of change that a watcher is told.
const (
	keyUpdated  = 0
	keyCreated  = 1
	keyDeleted  = 2
	keyAppended = 4
)

// dialect is what one connection means by its opcodes.
type dialect uint8

const (
	dialectCommon  dialect = iota // older than 2.2, not yet known which: only the opcodes 0..6 that all share
	dialectWatch                  // 1.13 and 2.0
	dialectNoWatch                // 2.1
	dialectModern                 // >= 2.2
)

// op translates an opcode; opUnknown if the dialect has no such.
func (d dialect) op(code byte) op {
	switch {
	case d == dialectModern && code <= byte(opBarrier):
		return op(code)
	case d == dialectModern:
		return opUnknown
	case code <= 6:
		return op(code + 1)
	case d == dialectWatch && code == 7:
		return opWatch
	case d == dialectWatch && code <= 12:
		return op(code)
	case d == dialectNoWatch && code <= 11:
		return op(code + 1)
	}
	return opUnknown
}

// answered reports whether the client waits for an answer to this request.
func (o op) answered() bool {
	switch o {
	case opValidate, opSet, opAppend, opMultiSet, opQueuePush:
		return false
	}
	return true
}

// message is bytes on their way to the wire. Large values are referred to, not copied: nobody may change them.
type message struct {
	bufs [][]byte
	size int64
	open bool // the last of bufs is ours to append to
}

const copyBelow = 1 << 10

func (m *message) tail() *[]byte {
	if !m.open {
		m.bufs = append(m.bufs, make([]byte, 0, 32))
		m.open = true
	}
	return &m.bufs[len(m.bufs)-1]
}

func (m *message) u8(v byte) {
	t := m.tail()
	*t = append(*t, v)
	m.size++
}

func (m *message) u32(v uint32) {
	t := m.tail()
	*t = binary.LittleEndian.AppendUint32(*t, v)
	m.size += 4
}

func (m *message) i64(v int64) {
	t := m.tail()
	*t = binary.LittleEndian.AppendUint64(*t, uint64(v))
	m.size += 8
}

func (m *message) bytes(v []byte) {
	m.i64(int64(len(v)))
	if len(v) < copyBelow {
		t := m.tail()
		*t = append(*t, v...)
	} else {
		m.bufs = append(m.bufs, v)
		m.open = false
	}
	m.size += int64(len(v))
}

func (m *message) str(v string) {
	m.i64(int64(len(v)))
	t := m.tail()
	*t = append(*t, v...)
	m.size += int64(len(v))
}

func oneByte(v byte) message {
	var m message
	m.u8(v)
	return m
}
