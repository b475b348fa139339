//go:build !linux

package proc

import (
	"errors"
	"syscall"
)

// Environ fails: only Linux tells the environment of a process.
func Environ(int) ([]string, error) { return nil, errors.ErrUnsupported }

// UserOf fails as Environ does.
func UserOf(int) (*syscall.Credential, error) { return nil, errors.ErrUnsupported }

// FindCgroup is none.
func FindCgroup(string) *Cgroup { return nil }
