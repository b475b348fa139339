package proc

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// narrow has the calling thread run on these CPUs alone, so that what it starts does, until restore is called.
func narrow(cpus []int) (restore func(), err error) {
	if cpus == nil {
		return func() {}, nil
	}
	var before, set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return nil, err
	}
	for _, cpu := range cpus {
		set.Set(cpu)
	}
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return nil, err
	}
	return func() { _ = unix.SchedSetaffinity(0, &before) }, nil
}

// sysProcAttr makes the child lead a session, die with the starting thread, and be born in the cgroup.
func sysProcAttr(group *Cgroup) (attr *syscall.SysProcAttr, release func(), err error) {
	attr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	if group == nil || group.unified == "" {
		return attr, func() {}, nil
	}
	dir, err := group.open()
	if err != nil {
		return nil, nil, err
	}
	attr.UseCgroupFD, attr.CgroupFD = true, int(dir.Fd())
	return attr, func() { dir.Close() }, nil
}
