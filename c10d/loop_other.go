//go:build !linux

package c10d

import (
	"net"
	"syscall"
)

// loop is for Linux: elsewhere each connection has goroutines of its own.
type loop struct{}

func newLoop(*Server) *loop             { return nil }
func (*loop) run()                      {}
func (*loop) stop()                     {}
func (*loop) take(*peer, net.Conn) bool { return false }

// socket is a connection in the loop.
type socket struct{ fd int }

func (*socket) awaitWritable() {}
func (*socket) shut()          {}

// writePieces writes the first of bufs and gives how much the kernel took.
func writePieces(fd uintptr, bufs [][]byte) int {
	n, _ := syscall.Write(int(fd), bufs[0])
	return n
}
