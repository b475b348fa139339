package c10d

import (
	"syscall"
	"time"
	"unsafe"
)

// Go's scheduler is not told of these calls. It need not be: they do not wait, or not long.

// epollAtOnce waits for events. A timer has to be among what it waits for.
func epollAtOnce(epoll int, events []syscall.EpollEvent) (int, error) {
	n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(epoll), uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)),
		^uintptr(0), 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// newBell is a descriptor that can be read from once 8 bytes were written to it; -1 where the system gives none.
func newBell() int {
	fd, _, errno := syscall.RawSyscall(syscall.SYS_EVENTFD2, 0, syscall.O_CLOEXEC|syscall.O_NONBLOCK, 0)
	if errno != 0 {
		return -1
	}
	return int(fd)
}

// timer is a descriptor that can be read from when a time is over.
type timer struct{ fd int }

func newTimer() timer {
	const monotonic = 1
	fd, _, errno := syscall.RawSyscall(syscall.SYS_TIMERFD_CREATE, monotonic, syscall.O_CLOEXEC|syscall.O_NONBLOCK, 0)
	if errno != 0 {
		return timer{-1}
	}
	return timer{int(fd)}
}

// set has the timer go off after a time, once, or not at all after 0. It reports whether it will.
func (t timer) set(after time.Duration) bool {
	spec := [2]syscall.Timespec{1: syscall.NsecToTimespec(after.Nanoseconds())}
	_, _, errno := syscall.RawSyscall6(syscall.SYS_TIMERFD_SETTIME, uintptr(t.fd), 0, uintptr(unsafe.Pointer(&spec)), 0, 0, 0)
	return errno == 0 && after > 0
}

// readAtOnce reads what is there.
func readAtOnce(fd int, b []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall(syscall.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	return int(n), errno
}

// nap sleeps for a time that is not worth telling, or less.
func nap(span time.Duration) {
	spec := syscall.NsecToTimespec(span.Nanoseconds())
	syscall.RawSyscall(syscall.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&spec)), 0, 0)
}

// vectors is how many pieces one call takes.
const vectors = 16

// writePieces writes from the first of bufs on and gives how much the kernel took, -1 where it took nothing.
func writePieces(fd uintptr, bufs [][]byte) int {
	var vec [vectors]syscall.Iovec
	n := min(len(bufs), vectors)
	for i, b := range bufs[:n] {
		vec[i].Base = unsafe.SliceData(b)
		vec[i].SetLen(len(b))
	}
	var done uintptr
	var errno syscall.Errno
	if n == 1 {
		done, _, errno = syscall.RawSyscall(syscall.SYS_WRITE, fd, uintptr(unsafe.Pointer(vec[0].Base)), uintptr(len(bufs[0])))
	} else {
		done, _, errno = syscall.RawSyscall(syscall.SYS_WRITEV, fd, uintptr(unsafe.Pointer(&vec)), uintptr(n))
	}
	if errno != 0 {
		return -1
	}
	return int(done)
}
