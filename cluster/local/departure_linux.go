package local

import (
	"context"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"ainexus.io/proc"
)

// departure is closed when exactly this process has ended; at once when it is not there. It stays open when ctx ends
// first. No thread waits: the descriptor of the process is polled with all the others.
func departure(ctx context.Context, owner *sync.WaitGroup, id proc.Identity) (<-chan struct{}, error) {
	gone := make(chan struct{})
	fd, err := unix.PidfdOpen(id.PID, unix.PIDFD_NONBLOCK)
	if err == unix.ESRCH || err == unix.EINVAL && id.PID <= 0 {
		close(gone)
		return gone, nil
	}
	if err != nil {
		return nil, err
	}
	// The descriptor names whoever has the pid now; it is the one we mean if that still is.
	if !id.Alive() {
		unix.Close(fd)
		close(gone)
		return gone, nil
	}
	file := os.NewFile(uintptr(fd), "pidfd")
	conn, err := file.SyscallConn()
	if err != nil {
		file.Close()
		return nil, err
	}
	owner.Go(func() {
		defer file.Close()
		defer context.AfterFunc(ctx, func() { file.Close() })()
		ended := false
		err := conn.Read(func(fd uintptr) bool {
			n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
			ended = err == nil && n > 0
			return ended
		})
		if err == nil && ended {
			close(gone)
		}
	})
	return gone, nil
}

// kill ends exactly this process, and none that has its pid after it.
func kill(id proc.Identity) {
	fd, err := unix.PidfdOpen(id.PID, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	if id.Alive() {
		_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
	}
}
