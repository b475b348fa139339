//go:build !linux

package proc

import "runtime/debug"

// Slim gives back unused heap. It is for processes that wait most of their life.
func Slim() { debug.FreeOSMemory() }
