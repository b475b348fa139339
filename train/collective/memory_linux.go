//go:build linux && (amd64 || arm64 || loong64 || riscv64)

package collective

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"unsafe"
)

// The memory that ranks of one host share is an anonymous file (memfd): it has no name that a killed rank could leave
// behind, and the size of /dev/shm, 64 MiB in many containers, is no limit for it. Others open it as /proc/PID/fd/N.

const (
	memfdName         = "nexus-collective"
	memfdCloexec      = 1
	memfdAllowSealing = 2
	fcntlAddSeals     = 1033
	sealed            = 1 | 2 | 4 // no further seals, no shrinking, no growing
)

// makeMemory makes memory of size bytes, all zero, and the descriptor by which others reach it. Pages that nobody
// writes to take no room.
func makeMemory(size int) ([]byte, int, error) {
	name := append([]byte(memfdName), 0)
	fd, _, errno := syscall.Syscall(sysMemfdCreate, uintptr(unsafe.Pointer(&name[0])), memfdCloexec|memfdAllowSealing, 0)
	if errno != 0 {
		return nil, 0, os.NewSyscallError("memfd_create", errno)
	}
	if err := syscall.Ftruncate(int(fd), int64(size)); err != nil {
		syscall.Close(int(fd))
		return nil, 0, os.NewSyscallError("ftruncate", err)
	}
	// Who touches what a shrunk file had is killed: it shall not shrink.
	if _, _, errno := syscall.Syscall(syscall.SYS_FCNTL, fd, fcntlAddSeals, sealed); errno != 0 {
		syscall.Close(int(fd))
		return nil, 0, os.NewSyscallError("fcntl", errno)
	}
	mem, err := mapMemory(int(fd), size)
	if err != nil {
		syscall.Close(int(fd))
	}
	return mem, int(fd), err
}

func mapMemory(fd, size int) ([]byte, error) {
	mem, err := syscall.Mmap(fd, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	return mem, os.NewSyscallError("mmap", err)
}

// openMemory maps another process's memory. What has that number there and is no memory of ours is left alone.
func openMemory(pid, fd, size int) ([]byte, error) {
	path := fmt.Sprintf("/proc/%d/fd/%d", pid, fd)
	target, err := os.Readlink(path)
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(target, "/memfd:"+memfdName) {
		return nil, fmt.Errorf("%s is %s", path, target)
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	stat, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if stat.Size() != int64(size) { // touching what is beyond its end would kill this process
		return nil, fmt.Errorf("%s has %d bytes, not %d", path, stat.Size(), size)
	}
	return mapMemory(int(file.Fd()), size)
}

func dropMemory(mem []byte) { syscall.Munmap(mem) }

func closeDescriptor(fd int) { syscall.Close(fd) }

// hostIdentity is equal for processes that can reach one another's memory: the same boot of the same kernel, the same
// numbers for processes, the same user. A network namespace of its own is taken for a host of its own.
func hostIdentity() (string, error) {
	sum := sha256.New()
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", err
	}
	sum.Write(boot)
	for _, space := range []string{"pid", "net", "user"} {
		at, err := os.Readlink("/proc/self/ns/" + space)
		if err != nil {
			return "", err
		}
		fmt.Fprintln(sum, at)
	}
	fmt.Fprintln(sum, os.Geteuid())
	return hex.EncodeToString(sum.Sum(nil)[:16]), nil
}

// processors are those that this process may run on, a bit for each.
func processors() (set [16]uint64) {
	syscall.RawSyscall(syscall.SYS_SCHED_GETAFFINITY, 0, unsafe.Sizeof(set), uintptr(unsafe.Pointer(&set)))
	return set
}

const (
	futexWait = 0
	futexWake = 1
)

// sleepOn sleeps until the word is woken, unless it is not value any more. It may return for no reason.
func sleepOn(word *atomic.Uint32, value uint32) {
	syscall.Syscall6(syscall.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWait, uintptr(value), 0, 0, 0)
}

// wake wakes who sleeps on the word.
func wake(word *atomic.Uint32) {
	syscall.RawSyscall6(syscall.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWake, 1<<30, 0, 0, 0)
}

// yield lets another thread have this processor, if one wants it.
func yield() { syscall.RawSyscall(syscall.SYS_SCHED_YIELD, 0, 0, 0) }
