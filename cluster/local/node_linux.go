package local

import (
	"bytes"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"ainexus.io/nexus"
	"ainexus.io/proc"
)

func memoryOfMachine() (nexus.MiB, error) {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0, err
	}
	return nexus.MiB(uint64(info.Totalram) * uint64(info.Unit) >> 20), nil
}

// attemptOf is the attempt that a process belongs to; empty when none, or it cannot be told.
func attemptOf(pid int) string {
	env, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil {
		return ""
	}
	for entry := range bytes.SplitSeq(env, []byte{0}) {
		if name, ok := bytes.CutPrefix(entry, []byte(proc.EnvAttempt+"=")); ok {
			return string(name)
		}
	}
	return ""
}
