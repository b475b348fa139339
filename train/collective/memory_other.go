//go:build !linux || !(amd64 || arm64 || loong64 || riscv64)

package collective

import (
	"errors"
	"sync/atomic"
)

var errNoMemory = errors.New("sharing memory is only built for Linux on amd64, arm64, loong64 and riscv64")

func makeMemory(int) ([]byte, int, error)      { return nil, 0, errNoMemory }
func openMemory(int, int, int) ([]byte, error) { return nil, errNoMemory }
func hostIdentity() (string, error)            { return "", errNoMemory }
func dropMemory([]byte)                        {}
func closeDescriptor(int)                      {}
func processors() (set [16]uint64)             { return set }
func sleepOn(*atomic.Uint32, uint32)           {}
func wake(*atomic.Uint32)                      {}
func yield()                                   {}
