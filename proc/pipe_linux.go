package proc

import (
	"os"

	"golang.org/x/sys/unix"
)

// widen gives a pipe room for a burst, so that a worker need not wait while its agent does not run.
func widen(pipe *os.File) {
	if conn, err := pipe.SyscallConn(); err == nil {
		conn.Control(func(fd uintptr) { unix.FcntlInt(fd, unix.F_SETPIPE_SZ, 256<<10) })
	}
}
