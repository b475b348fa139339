package launch

import (
	"cmp"
	"slices"
	"strings"
	"syscall"
	"time"

	"ainexus.io/launch/elastic"
	"ainexus.io/proc"
)

// failure is a worker that ended badly without being asked to end.
type failure struct {
	rank   int // local
	pid    int
	exit   proc.Exit
	report *errorReport
	tail   []string

	at    time.Time // of the error: its report's, else that of its end
	words string    // what it said last about it, in a line; empty: nothing that can be told from other output
	proof elastic.Evidence
	why   string // the proof, as a clause
}

// weigh says how much speaks for the failure being the root cause. Who says that another one was gone has followed it, whatever
// it died of; an abort or a TERM may be a consequence, as a silent exit may; a crash of its own and an error that it told are not.
func (f *failure) weigh(began time.Time, killer oom) {
	f.at = f.exit.At
	said, saying := lastError(f.tail)
	switch {
	case f.report != nil:
		f.at = f.report.when(began, f.exit.At)
		f.words, f.proof, f.why = firstLine(f.report.message), elastic.Own, "by its error file"
		saying = f.report.message
	case f.exit.Signal == syscall.SIGKILL && killer.kills > 0:
		f.proof, f.why = elastic.Own, "by the kernel's OOM killer"
		return
	case said != "":
		f.words, f.proof, f.why = firstLine(said), elastic.Own, "by its last words"
	default:
		f.proof, f.why = elastic.Unsaid, "by when it ended"
		saying = strings.Join(f.tail, "\n")
		if s := f.signal(); s != 0 && !others(s) {
			f.proof, f.why = elastic.Own, "by its signal"
		}
	}
	if f.signal() != syscall.SIGKILL && saysPeerGone(saying) {
		f.proof, f.why = elastic.Followed, "though it says that another one was gone before"
	}
}

// signal is the one that ended the worker, or a process below it, as shells tell it.
func (f *failure) signal() syscall.Signal {
	if f.exit.Signal == 0 && f.exit.Code > 128 && f.exit.Code < 128+65 {
		return syscall.Signal(f.exit.Code - 128)
	}
	return f.exit.Signal
}

// others reports whether a signal is one that others send, or that follows from what others did: NCCL and the C++ runtime
// abort where a peer went away, and a pipe breaks where its reader did.
func others(s syscall.Signal) bool {
	switch s {
	case syscall.SIGABRT, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGPIPE, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGALRM:
		return true
	}
	return false
}

// saysPeerGone reports whether these are the words with which PyTorch's backends say that another rank went away or stayed silent.
func saysPeerGone(text string) bool {
	return slices.ContainsFunc([]string{
		"Connection closed by peer", "Connection reset by peer", "Broken pipe", "Application timeout caused pair closure", // gloo
		"ms for recv operation to complete", "ms for send operation to complete", // gloo's timeouts
		"Socket Timeout", "failed to recv, got 0 bytes", "in store based barrier", // the store
		"remote process exited or there was a network error", "ncclRemoteError", "a remote process exiting prematurely",
		"NCCL communicator was aborted", "Watchdog caught collective operation timeout", "due to collective timeout or exception",
		"Some NCCL operations have failed or timed out",
	}, func(words string) bool { return strings.Contains(text, words) })
}

// lastError finds the error in a worker's last lines: the line with which Python ends a traceback, or Go's panic. Rest is that
// line and what comes after it, which some errors go on with.
func lastError(tail []string) (line, rest string) {
	for i, text := range slices.Backward(tail) {
		traced := i > 0 && strings.HasPrefix(tail[i-1], "  ") && isException(text)
		if traced || strings.HasPrefix(text, "panic: ") || strings.HasPrefix(text, "fatal error: ") {
			return text, strings.Join(tail[i:], "\n")
		}
	}
	return "", ""
}

// isException knows "torch.cuda.OutOfMemoryError: CUDA out of memory" and "KeyboardInterrupt".
func isException(line string) bool {
	name, _, _ := strings.Cut(line, ":")
	if name == "" || strings.ContainsAny(name, " \t()[]{}'\"/=,") {
		return false
	}
	return slices.ContainsFunc([]string{"Error", "Exception", "Interrupt", "Timeout", "Expired", "Failure", "Exit"}, func(end string) bool {
		return strings.HasSuffix(name, end)
	})
}

// rootCause picks the failure that came first among those for which most speaks.
func rootCause(failures []failure) failure {
	return slices.MinFunc(failures, func(a, b failure) int {
		if a.proof != b.proof {
			return int(b.proof) - int(a.proof)
		}
		return cmp.Or(a.at.Compare(b.at), a.exit.At.Compare(b.exit.At))
	})
}
