//go:build !unix

package checkpoint

import (
	"errors"
	"fmt"
)

// lock is not supported on this system, and without it two writers could interleave.
func lock(dir string) (unlock func(), err error) {
	return nil, fmt.Errorf("locking %s: %w on this system", dir, errors.ErrUnsupported)
}
