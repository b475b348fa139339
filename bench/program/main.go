package program

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"syscall"

	"ainexus.io/bench/row"
)

// Main runs a program. Where it did not run to its end, the reason goes to stderr and the exit status is 1.
func Main(run func(args []string) error) {
	err := run(os.Args[1:])
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// Flags are the command line of a program: -json, -only and -quick, and those that it adds before [Flags.Parse].
type Flags struct {
	*flag.FlagSet
	json  *bool
	only  *string
	quick *bool
}

// NewFlags returns the flags of the program of that name.
func NewFlags(name string) *Flags {
	set := flag.NewFlagSet(name, flag.ContinueOnError)
	return &Flags{
		FlagSet: set,
		json:    set.Bool("json", false, "print one JSON object per line instead of a table"),
		only:    set.String("only", "", "measure only the figures whose name matches this regular expression"),
		quick:   set.Bool("quick", false, "take few samples, to see that it works; the figures mean little"),
	}
}

// Explain has -h say something else of a flag.
func (f *Flags) Explain(name, usage string) { f.Lookup(name).Usage = usage }

// Parse reads the command line and returns what it asks for. Rows go to stdout, progress to stderr.
func (f *Flags) Parse(args []string) (*Bench, error) {
	if err := f.FlagSet.Parse(args); err != nil {
		return nil, err
	}
	only, err := regexp.Compile(*f.only)
	if err != nil {
		return nil, fmt.Errorf("-only: %w", err)
	}
	return &Bench{Only: only, Quick: *f.quick, Rows: row.NewPrinter(os.Stdout, *f.json), Log: os.Stderr}, nil
}

// Interruptible ends with the first SIGINT or SIGTERM, so that a program can end what it started.
func Interruptible() (ctx context.Context, stop context.CancelFunc) {
	return signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
}
