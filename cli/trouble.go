package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"ainexus.io/nexus"
)

// stateTrouble says what is wrong with the state directory and how to mend it, where that is known.
func stateTrouble(doing string, err error) error {
	message := doing + ": " + err.Error()
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return &nexus.Error{Code: nexus.CodeExhausted, Message: message, Hint: "free some space; nothing that was acknowledged is lost"}
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return &nexus.Error{Code: nexus.CodeDenied, Message: message,
			Hint: "check who owns the state directory, or choose another with --state"}
	}
	return fmt.Errorf("%s: %w", doing, err)
}
