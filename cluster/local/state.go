package local

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"ainexus.io/nexus"
	"ainexus.io/proc"
)

// takeState makes the state directory, for its owner alone, and locks it for as long as the file is open. The lock
// goes with the process, whatever ends it.
func takeState(path string) (*os.File, error) {
	if !filepath.IsAbs(path) {
		return nil, fmt.Errorf("the state directory %q is not absolute", path)
	}
	if err := os.MkdirAll(filepath.Join(path, "attempts"), 0o700); err != nil {
		return nil, stateTrouble(path, err)
	}
	if err := os.Chmod(path, 0o700); err != nil {
		return nil, stateTrouble(path, err)
	}
	lock, err := os.OpenFile(filepath.Join(path, "lock"), os.O_CREATE|os.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, stateTrouble(path, err)
	}
	err = lockPatiently(lock)
	if errors.Is(err, unix.EWOULDBLOCK) {
		defer lock.Close()
		by := ""
		if pid := holder(lock); pid > 0 {
			by = fmt.Sprintf(" (pid %d)", pid)
		}
		return nil, &nexus.Error{Code: nexus.CodeConflict, Message: fmt.Sprintf("a daemon%s already uses %s", by, path),
			Hint: "use that one, stop it, or choose another state directory with --state"}
	}
	if err == nil {
		err = errors.Join(lock.Truncate(0), writeAt(lock, strconv.Itoa(os.Getpid())+"\n"))
	}
	if err != nil {
		lock.Close()
		return nil, stateTrouble(path, err)
	}
	return lock, nil
}

// lockPatiently takes the lock. A daemon that was killed while it started an agent leaves the lock for an instant to
// that child, which closes it when it becomes the agent: a lock whose holder is dead is waited for.
func lockPatiently(lock *os.File) error {
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) || time.Now().After(deadline) {
			return err
		}
		if pid := holder(lock); pid > 0 {
			if _, gone := proc.Identify(pid); gone == nil {
				return err
			}
		}
	}
}

// holder is the pid of who wrote the lock file last; 0 where nobody can be told.
func holder(lock io.ReaderAt) int {
	text := make([]byte, 32)
	n, _ := lock.ReadAt(text, 0)
	pid, err := strconv.Atoi(strings.TrimSpace(string(text[:n])))
	if err != nil {
		return 0
	}
	return pid
}

func writeAt(file *os.File, text string) error {
	_, err := file.WriteAt([]byte(text), 0)
	return err
}

func stateTrouble(path string, err error) error {
	e := &nexus.Error{Code: nexus.CodeDenied, Message: fmt.Sprintf("the state directory %s cannot be used: %v", path, err),
		Hint: "check who owns it, or choose another with --state"}
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		e.Code, e.Hint = nexus.CodeExhausted, "free some space; nothing that was acknowledged is lost"
	}
	return e
}
