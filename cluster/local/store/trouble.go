package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"ainexus.io/nexus"
)

// errClosed says that the daemon goes away.
var errClosed = &nexus.Error{Code: nexus.CodeUnavailable, Message: "the daemon is stopping", Hint: "try again in a moment"}

// trouble tells an error of the file in words; what is said well already, and the end of a context, stays.
func (s *Store) trouble(err error) error {
	var said *nexus.Error
	if err == nil || errors.As(err, &said) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	say := func(code nexus.Code, what, hint string) error {
		return &nexus.Error{Code: code, Message: fmt.Sprintf("%s: %s (%v)", s.path, what, err), Hint: hint}
	}
	code := 0
	if e := (*sqlite.Error)(nil); errors.As(err, &e) {
		code = e.Code() & 0xff
	}
	switch {
	case code == sqlite3.SQLITE_FULL, errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return say(nexus.CodeExhausted, "the disk is full", "free some space; nothing that was acknowledged is lost")
	case code == sqlite3.SQLITE_IOERR, errors.Is(err, unix.EFBIG):
		return say(nexus.CodeExhausted, "the disk does not take the records",
			"look for a full or failing disk (df, dmesg); nothing that was acknowledged is lost")
	case code == sqlite3.SQLITE_CORRUPT, code == sqlite3.SQLITE_NOTADB:
		return say(nexus.CodeInternal, "the records are damaged",
			"move the file away and start again, or bring it back from a backup; running jobs are not touched")
	case code == sqlite3.SQLITE_CANTOPEN, code == sqlite3.SQLITE_READONLY, code == sqlite3.SQLITE_PERM,
		errors.Is(err, fs.ErrPermission), errors.Is(err, unix.EROFS), errors.Is(err, unix.EISDIR):
		return say(nexus.CodeDenied, "the records cannot be opened for writing", "check who owns the state directory, or choose another with --state")
	case code == sqlite3.SQLITE_BUSY, code == sqlite3.SQLITE_LOCKED:
		return say(nexus.CodeUnavailable, "another program holds the records", "close it (sqlite3, a backup) and try again")
	}
	return say(nexus.CodeInternal, "the records cannot be used", "see the daemon's log")
}
