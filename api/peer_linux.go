package api

import "golang.org/x/sys/unix"

// socketUID reads the peer's user off a connected unix socket.
func socketUID(fd int) (uid int, ok bool) {
	cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return 0, false
	}
	return int(cred.Uid), true
}
