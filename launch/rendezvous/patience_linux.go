package rendezvous

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// patience has the kernel give a connection up when what was sent is not acknowledged for so long.
func patience(conn net.Conn, silence time.Duration) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) {
		unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(silence/time.Millisecond))
	})
}
