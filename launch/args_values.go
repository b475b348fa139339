package launch

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"ainexus.io/proc"
	"golang.org/x/sys/unix"
)

// shownRanks reads "0,2" for --local-ranks-filter.
func shownRanks(i *Invocation, value string) error {
	i.Options.Show = []int{}
	for part := range strings.SplitSeq(value, ",") {
		rank, err := count(strings.TrimSpace(part))
		if err != nil {
			return fmt.Errorf("%q is no list of local ranks such as 0,1", value)
		}
		i.Options.Show = append(i.Options.Show, rank)
	}
	return nil
}

// backend takes torchrun's rendezvous that need nothing but the nodes themselves, which is ours.
func backend(_ *Invocation, value string) error {
	if value != "c10d" && value != "static" {
		return fmt.Errorf("%q: the agents meet at one of the nodes, which --rdzv-endpoint names; the backends are c10d and static", value)
	}
	return nil
}

func startMethod(_ *Invocation, value string) error {
	if !slices.Contains([]string{"spawn", "fork", "forkserver"}, value) {
		return fmt.Errorf("%q is neither spawn nor fork nor forkserver", value)
	}
	return nil
}

func interval(_ *Invocation, value string) error {
	if seconds, err := strconv.ParseFloat(value, 64); err != nil || !(seconds >= 0) {
		return fmt.Errorf("%q is no number of seconds", value)
	}
	return nil
}

func logsSpecs(_ *Invocation, value string) error {
	if value != "default" {
		return fmt.Errorf("%q is a class of torchrun's; here it is default", value)
	}
	return nil
}

// stopping are the signals that end the run.
func stopping() []os.Signal {
	return []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT}
}

// defaultSignals are those that end the run, and those that a job's own tools send to its workers.
func defaultSignals() []os.Signal { return append(stopping(), syscall.SIGUSR1, syscall.SIGUSR2) }

// handledSignals reads "SIGTERM,SIGINT,SIGUSR1". INT, TERM, USR1 and USR2 are always handled: a run that they leave alone would
// be killed by them.
func handledSignals(i *Invocation, value string) error {
	i.Signals = []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGUSR2}
	for name := range strings.SplitSeq(value, ",") {
		name = strings.ToUpper(strings.TrimSpace(name))
		if !strings.HasPrefix(name, "SIG") {
			name = "SIG" + name
		}
		s := unix.SignalNum(name)
		switch s {
		case 0:
			return fmt.Errorf("%q is no signal", name)
		case syscall.SIGKILL, syscall.SIGSTOP:
			return fmt.Errorf("nobody can handle %s", name)
		case syscall.SIGCHLD, syscall.SIGURG, syscall.SIGPIPE:
			return errors.New(name + " is the launcher's own")
		}
		if !slices.Contains(i.Signals, os.Signal(s)) {
			i.Signals = append(i.Signals, s)
		}
	}
	return nil
}

// bytes reads "65536", "64KiB", "16MiB" and "2GiB".
func bytes(text string) (int, error) {
	digits := strings.TrimRight(text, "KMGiB")
	shift := map[string]int{"": 0, "KiB": 10, "MiB": 20, "GiB": 30}
	by, known := shift[text[len(digits):]]
	n, err := strconv.Atoi(digits)
	if err != nil || !known || n < 1 || n > 1<<62>>by {
		return 0, fmt.Errorf("%q is no size such as 65536 or 16MiB", text)
	}
	return n << by, nil
}

// shutdownTimeout reads a time; 0 is none at all.
func shutdownTimeout(i *Invocation, value string) (err error) {
	if n, err := strconv.ParseFloat(value, 64); err == nil && n == 0 {
		i.Options.Grace = time.Nanosecond
		return nil
	}
	i.Options.Grace, err = seconds(value)
	return err
}

func logSize(i *Invocation, value string) (err error) {
	i.Options.LogSize, err = ParseLogSize(value)
	return err
}

func logFiles(i *Invocation, value string) (err error) {
	i.Options.LogFiles, err = ParseLogFiles(value)
	return err
}

// ParseLogSize reads when a log file is full, such as 16MiB, into bytes; 0 is never: [proc.Unbounded].
func ParseLogSize(text string) (int64, error) {
	if text == "0" {
		return proc.Unbounded, nil
	}
	n, err := bytes(text)
	return int64(n), err
}

// ParseLogFiles reads how many files of a log are kept.
func ParseLogFiles(text string) (int, error) { return atLeastOne(text) }

func atLeastOne(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%q is not a number from 1 up", text)
	}
	return n, nil
}
