package train

import (
	"fmt"
	"os"
	"runtime"
)

// maxStacks bounds what is written of the stacks of all goroutines, in bytes.
const maxStacks = 1 << 20

// listen says in the launcher's stack file that this process answers SIGUSR1, which is deadly to others.
func listen(path string) {
	if path != "" {
		// Without it nobody asks: a rank that hangs is then known by its steps alone.
		os.WriteFile(path, fmt.Appendf(nil, "pid %d\n", os.Getpid()), 0o600)
	}
}

// tellStacks appends where all goroutines are to the launcher's stack file, or writes it to standard error.
func tellStacks(path string) {
	buf := make([]byte, maxStacks)
	buf = buf[:runtime.Stack(buf, true)]
	if path == "" {
		os.Stderr.Write(buf)
		return
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return
	}
	file.Write(buf)
	file.Close()
}
