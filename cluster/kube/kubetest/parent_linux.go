package kubetest

import "syscall"

// withParent has the kernel kill a child whose parent thread ends.
func withParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
