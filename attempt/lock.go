package attempt

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// ErrLocked says that an agent of this attempt lives.
var ErrLocked = errors.New("an agent of this attempt is alive")

// ErrClaimed says that the attempt was begun before.
var ErrClaimed = errors.New("this attempt was begun before")

// Lock takes the attempt for this process, for as long as it lives; the kernel frees it whatever happens.
// It fails with [ErrLocked] or, where an earlier agent got as far as claiming, [ErrClaimed].
// The file must be kept open and must not be inherited by workers (it is close-on-exec).
func (d Dir) Lock() (*os.File, error) {
	file, err := d.flock()
	if err != nil {
		return nil, err
	}
	if _, err := d.Agent(); !Missing(err) {
		file.Close()
		return nil, ErrClaimed
	}
	return file, nil
}

// Locked reports whether an agent holds the lock now.
func (d Dir) Locked() (bool, error) {
	file, err := d.flock()
	switch {
	case errors.Is(err, ErrLocked):
		return true, nil
	case err != nil:
		return false, err
	}
	return false, file.Close()
}

func (d Dir) flock() (*os.File, error) {
	file, err := os.OpenFile(d.path("lock"), os.O_CREATE|os.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = ErrLocked
	} else if err != nil {
		err = fmt.Errorf("locking %s: %w", file.Name(), err)
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}
