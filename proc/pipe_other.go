//go:build !linux

package proc

import "os"

// widen does nothing: the system sizes pipes by itself.
func widen(*os.File) {}
