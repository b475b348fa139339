//go:build linux || darwin

package api

import "net"

// peerUID asks the kernel which user is at the other end of a unix socket.
func peerUID(c net.Conn) (uid int, ok bool) {
	conn, isUnix := c.(*net.UnixConn)
	if !isUnix {
		return 0, false
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, false
	}
	err = raw.Control(func(fd uintptr) {
		uid, ok = socketUID(int(fd))
	})
	return uid, ok && err == nil
}
