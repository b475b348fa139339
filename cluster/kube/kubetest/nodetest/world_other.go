//go:build !linux

package nodetest

import (
	"errors"
	"os/exec"
	"syscall"
	"time"
)

// impossible says why this machine allows no real kubelet.
func impossible() string { return "it needs Linux" }

func ownSession() *syscall.SysProcAttr { return nil }

func runInside(*exec.Cmd) ([]byte, error) { return nil, errors.ErrUnsupported }

func lives(int) bool { return true }

func remaining(end time.Time) time.Duration { return time.Until(end) }

func (w *World) furnish() error { return errors.ErrUnsupported }
