package launch

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"ainexus.io/nexus"
	"ainexus.io/proc"
	"golang.org/x/sys/unix"
)

// signalName is "SIGKILL", or "signal 64" for one without a name.
func signalName(s syscall.Signal) string {
	if name := unix.SignalName(s); name != "" {
		return name
	}
	return fmt.Sprintf("signal %d", int(s))
}

// exitCode is what a shell would make of an ending.
func exitCode(e proc.Exit) int {
	if e.Signal != 0 {
		return 128 + int(e.Signal)
	}
	return max(e.Code, 0)
}

// oom is what the kernel's OOM killer did during a round.
type oom struct {
	kills int
	ours  bool      // kills counts the attempt's processes alone
	limit nexus.MiB // of the job's memory; 0: the machine's
}

func (o oom) reason() string {
	if o.limit > 0 {
		return "memory limit " + spaced(o.limit)
	}
	return "the machine was out of memory"
}

// ended reports whether the OOM killer is why a process ended.
func (o oom) ended(e proc.Exit) bool {
	return o.kills > 0 && (e.Signal == syscall.SIGKILL || e.Signal == 0 && o.ours)
}

// saysOutOfGPU reports whether a worker's last words are those of PyTorch on a GPU that is full.
func saysOutOfGPU(tail []string, report *errorReport) bool {
	says := func(text string) bool {
		return strings.Contains(text, "CUDA out of memory") || strings.Contains(text, "torch.cuda.OutOfMemoryError") ||
			strings.Contains(text, "torch.OutOfMemoryError")
	}
	return slices.ContainsFunc(tail, says) || report != nil && says(report.message)
}

// spaced writes "4 GiB".
func spaced(m nexus.MiB) string {
	text := m.String()
	unit := strings.TrimLeft(text, "0123456789")
	return strings.TrimSuffix(text, unit) + " " + unit
}

// describe says in words how a process ended.
func describe(who string, e proc.Exit, o oom) string {
	switch {
	case e.Signal == syscall.SIGKILL && o.kills > 0:
		return fmt.Sprintf("%s was killed by SIGKILL by the kernel's OOM killer, %s", who, o.reason())
	case e.Signal != 0:
		return fmt.Sprintf("%s was killed by %s", who, signalName(e.Signal))
	case o.kills > 0 && o.ours:
		return fmt.Sprintf("%s exited with code %d after the kernel's OOM killer ended one of its processes, %s", who, e.Code, o.reason())
	case e.Code > 128 && e.Code < 128+65 && unix.SignalName(syscall.Signal(e.Code-128)) != "":
		return fmt.Sprintf("%s exited with code %d (a process below it was killed by %s)", who, e.Code, signalName(syscall.Signal(e.Code-128)))
	case e.Code == 127:
		return fmt.Sprintf("%s exited with code 127 (the shell did not find a command)", who)
	}
	return fmt.Sprintf("%s exited with code %d", who, e.Code)
}

// firstLine is the first line of a text, safe to show and not too long.
func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	line = proc.Sanitize(line)
	if runes := []rune(line); len(runes) > 300 {
		line = string(runes[:300]) + "..."
	}
	return line
}

func times(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func wereOrWas(n int) string {
	if n == 1 {
		return "was"
	}
	return "were"
}

// about is a duration as people say it.
func about(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Hour:
		return d.Round(time.Second).String()
	}
	return nexus.Duration(d.Round(time.Minute)).String()
}

// lastLines are those that would have been kept of what a worker wrote.
func lastLines(lines []string) []string {
	tail := &proc.Tail{}
	for _, line := range lines {
		tail.Add([]byte(line))
	}
	return tail.Lines()
}

// tailSize is how many bytes of a worker's last lines go into a result, which other nodes and the job's record get too.
const tailSize = 16 << 10

// bounded keeps the last lines that fit.
func bounded(lines []string) []string {
	room := tailSize
	for i, line := range slices.Backward(lines) {
		if room -= len(line); room < 0 {
			return lines[i+1:]
		}
	}
	return lines
}
