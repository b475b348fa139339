//go:build linux && (amd64 || arm64) && !nogpu

package nccl

import (
	"fmt"
	"unsafe"

	"github.com/ebitengine/purego"
)

// The numbers and layouts below are those of NVIDIA's nccl.h (2.14 to 2.31). The tests' stand-in library, which a C compiler lays out, reads them.

// status is ncclResult_t.
type status int32

const (
	ncclSuccess    status = 0
	ncclInProgress status = 7
)

// uniqueID is ncclUniqueId, which C passes by value: 128 bytes, on amd64 on the stack, on arm64 by a pointer to a copy.
type uniqueID struct{ internal [128]byte }

// config is ncclConfig_t as NCCL 2.14 had it first. Newer ones take it by its size and version, and the rest from their defaults.
type config struct {
	size    uint64
	magic   uint32
	version uint32
	_       int32 // blocking: 0, calls return at once
	_       int32
}

const (
	configMagic   = 0xcafebeef
	configVersion = 21400
)

// comm is the opaque ncclComm_t.
type comm uintptr

// Data types (ncclDataType_t) and the operation (ncclRedOp_t) that are used.
const (
	typeUint8   int32 = 1
	typeFloat32 int32 = 7
	typeFloat64 int32 = 8
	opSum       int32 = 0
)

// library is NCCL. What may be nil is not in releases before 2.14, whose calls block.
type library struct {
	version       func(version *int32) status
	newID         func(id *uniqueID) status
	initRank      func(c *comm, size int32, id uniqueID, rank int32) status
	abort         func(c comm) status
	destroy       func(c comm) status
	asyncError    func(c comm, state *status) status
	errorString   func(code status) *byte
	allReduce     func(send, receive devicePtr, count uint64, kind, op int32, c comm, stream uintptr) status
	broadcast     func(send, receive devicePtr, count uint64, kind, root int32, c comm, stream uintptr) status
	allGather     func(send, receive devicePtr, count uint64, kind int32, c comm, stream uintptr) status
	reduceScatter func(send, receive devicePtr, count uint64, kind, op int32, c comm, stream uintptr) status

	initConfig func(c *comm, size int32, id uniqueID, rank int32, config *config) status
	finalize   func(c comm) status
	lastError  func(c comm) *byte
}

// oldest is the first release with all that is needed: ncclCommAbort.
const oldest = 2400

func openNCCL(path string) (*library, error) {
	lib, err := load(path, "libnccl.so.2")
	if err != nil {
		return nil, err
	}
	l := &library{}
	err = bind(lib, "libnccl", []function{
		{"ncclGetVersion", &l.version}, {"ncclGetUniqueId", &l.newID}, {"ncclCommInitRank", &l.initRank},
		{"ncclCommAbort", &l.abort}, {"ncclCommDestroy", &l.destroy}, {"ncclCommGetAsyncError", &l.asyncError},
		{"ncclGetErrorString", &l.errorString}, {"ncclAllReduce", &l.allReduce}, {"ncclBroadcast", &l.broadcast},
		{"ncclAllGather", &l.allGather}, {"ncclReduceScatter", &l.reduceScatter},
	})
	if err != nil {
		return nil, err
	}
	for _, f := range []function{{"ncclCommInitRankConfig", &l.initConfig}, {"ncclCommFinalize", &l.finalize}, {"ncclGetLastError", &l.lastError}} {
		if symbol, err := purego.Dlsym(lib, f.name); err == nil {
			purego.RegisterFunc(f.into, symbol)
		}
	}
	var version int32
	if rc := l.version(&version); rc != ncclSuccess || version < oldest {
		return nil, fmt.Errorf("libnccl is of version %d (status %d); 2.4 is the oldest that is used here", version, int(rc))
	}
	return l, nil
}

// err makes an error of a status, in NCCL's words: what the code means, and what happened last.
func (l *library) err(doing string, rc status) error {
	if rc == ncclSuccess || rc == ncclInProgress {
		return nil
	}
	text := fmt.Sprintf("error %d", int(rc))
	if s := l.errorString(rc); s != nil {
		text = cString(s)
	}
	if l.lastError != nil {
		if s := l.lastError(0); s != nil && *s != 0 {
			text += ": " + cString(s)
		}
	}
	return fmt.Errorf("NCCL, %s: %s", doing, text)
}

// newConfig asks for calls that do not block.
func newConfig() *config {
	return &config{size: uint64(unsafe.Sizeof(config{})), magic: configMagic, version: configVersion}
}
