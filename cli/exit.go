package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"ainexus.io/nexus"
)

// The exit codes, beside those of jobs: docs/cli.md.
const (
	exitError    = 1
	exitUsage    = 2   // a wrong flag or argument, a malformed job file
	exitAway     = 3   // no daemon answers
	exitUnknown  = 4   // no such job, queue or node, or several of that name
	exitRefused  = 5   // the request is understood and not granted
	exitTimeout  = 124 // wait --timeout
	exitDetached = 130 // Ctrl-C
)

// exit is an error that knows its code. Without err nothing is said.
type exit struct {
	code int
	err  error
}

func (e *exit) Error() string {
	if e.err == nil {
		return "exit code " + strconv.Itoa(e.code)
	}
	return e.err.Error()
}

func (e *exit) Unwrap() error { return e.err }

// usage is a mistake in how a command was called.
func usage(cmd *cobra.Command, format string, args ...any) error {
	return &exit{code: exitUsage, err: &nexus.Error{Code: nexus.CodeInvalid, Message: fmt.Sprintf(format, args...),
		Hint: cmd.CommandPath() + " --help"}}
}

// finish says what went wrong and returns the exit code.
func (p *program) finish(err error) int {
	if err == nil {
		return 0
	}
	var e *exit
	if errors.As(err, &e) {
		if e.err != nil {
			p.tell(e.err)
		}
		return e.code
	}
	p.tell(err)
	return codeOf(err)
}

func codeOf(err error) int {
	var one *nexus.Error
	var several nexus.Errors
	if errors.As(err, &several) && len(several) > 0 {
		one = several[0]
	} else if !errors.As(err, &one) {
		if errors.Is(err, context.Canceled) {
			return exitDetached
		}
		return exitError
	}
	switch one.Code {
	case nexus.CodeInvalid:
		return exitUsage
	case nexus.CodeUnavailable:
		return exitAway
	case nexus.CodeNotFound, nexus.CodeAmbiguous:
		return exitUnknown
	case nexus.CodeUnfit, nexus.CodeConflict, nexus.CodeDenied:
		return exitRefused
	}
	return exitError
}

// tell prints every error, and its hint after it.
func (p *program) tell(err error) {
	var one *nexus.Error
	var several nexus.Errors
	switch {
	case errors.As(err, &several):
	case errors.As(err, &one):
		several = nexus.Errors{one}
	default:
		several = nexus.Errors{{Message: err.Error()}}
	}
	for i, e := range several {
		fmt.Fprintln(p.err, "error: "+clean(e.Message))
		if e.Hint != "" && (i+1 == len(several) || several[i+1].Hint != e.Hint) {
			fmt.Fprintln(p.err, "hint: "+clean(e.Hint))
		}
	}
}
