package proc

import (
	"bytes"
	"os"
	"runtime/debug"
	"strconv"

	"golang.org/x/sys/unix"
)

// Slim gives back what starting took: unused heap, and the pages of the program's own file that only start-up read.
// They come back from the page cache when they are needed. It is for processes that wait most of their life.
func Slim() {
	debug.FreeOSMemory()
	own, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return
	}
	for line := range bytes.Lines(maps) {
		fields := bytes.Fields(line)
		// Never what was written to: there, giving back means losing.
		if len(fields) < 6 || fields[1][1] != '-' || string(fields[5]) != own {
			continue
		}
		low, high, _ := bytes.Cut(fields[0], []byte("-"))
		from, err1 := strconv.ParseUint(string(low), 16, 64)
		to, err2 := strconv.ParseUint(string(high), 16, 64)
		if err1 == nil && err2 == nil {
			unix.Syscall(unix.SYS_MADVISE, uintptr(from), uintptr(to-from), unix.MADV_DONTNEED)
		}
	}
}
