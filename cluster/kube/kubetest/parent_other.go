//go:build !linux

package kubetest

import "syscall"

// withParent is empty: this kernel does not end a child with its parent.
func withParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{} }
