//go:build !linux

package proc

import "syscall"

// sysProcAttr makes the child lead a session. There is no parent-death signal here: the keeper has to do.
func sysProcAttr(*Cgroup) (attr *syscall.SysProcAttr, release func(), err error) {
	return &syscall.SysProcAttr{Setsid: true}, func() {}, nil
}

// narrow does nothing: this system binds no process.
func narrow([]int) (restore func(), err error) { return func() {}, nil }
