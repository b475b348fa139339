package proc

import "syscall"

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
