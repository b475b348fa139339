//go:build !linux

package proc

import (
	"bytes"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// hunter finds the processes that carry an attempt's name in their environment, and their process groups.
// The system hides the environment of its own programs (/bin/sh), so children in groups of their own may escape.
type hunter struct {
	mark   []byte
	self   int
	missed bool // never: the kernel tells all at once
	chases bool // has nothing to say here
}

func newHunter(name string) *hunter {
	return &hunter{mark: append([]byte(EnvAttempt+"="+name), 0), self: os.Getpid()}
}

// kill kills whom it finds and returns how many that were.
func (h *hunter) kill() int {
	found := h.members()
	for _, pid := range found {
		if group, err := syscall.Getpgid(pid); err == nil && group == pid {
			syscall.Kill(-pid, syscall.SIGKILL)
		}
		syscall.Kill(pid, syscall.SIGKILL)
	}
	return len(found)
}

func (h *hunter) members() []int {
	all, err := unix.SysctlKinfoProcSlice("kern.proc.uid", os.Getuid())
	if err != nil {
		return nil
	}
	var found []int
	for _, info := range all {
		pid := int(info.Proc.P_pid)
		if pid == h.self || info.Proc.P_stat == zombie {
			continue
		}
		if args, err := unix.SysctlRaw("kern.procargs2", pid); err == nil && bytes.Contains(args, h.mark) {
			found = append(found, pid)
		}
	}
	return found
}
