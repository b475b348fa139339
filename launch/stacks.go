package launch

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"ainexus.io/proc"
)

// stacksWithin is how long workers that hang get to say where they are. Their signal handlers do it, whatever else
// they are in, so only a machine that is very busy needs more than an instant.
const stacksWithin = 3 * time.Second

// A stack is where a worker's main thread is, innermost frame first.
type stack []frame

type frame struct {
	file     string
	line     string
	function string
}

func (f frame) String() string {
	return fmt.Sprintf("%s (%s:%s)", f.function, filepath.Base(f.file), f.line)
}

// askWhere asks every worker that listens where it is, and returns what they said, by rank; nil where one did not.
// Who listens has said so in its stack file: to others SIGUSR1 would be deadly.
func (a *agent) askWhere(r *round) []stack {
	before := make([]int, len(r.workers)) // what was in the file before it was asked; -1: it is not asked
	for rank, p := range r.workers {
		before[rank] = -1
		data, err := os.ReadFile(a.dir.StackFile(r.number, rank))
		if pid := listener(data); err == nil && p.Running() && descends(p.PID, pid) && syscall.Kill(pid, syscall.SIGUSR1) == nil {
			before[rank] = len(data)
		}
	}
	stacks := make([]stack, len(r.workers))
	for end := time.Now().Add(stacksWithin); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		missing := false
		for rank, length := range before {
			if length < 0 {
				continue
			}
			data, _ := os.ReadFile(a.dir.StackFile(r.number, rank))
			now := parseStack(string(data[min(length, len(data)):]))
			missing = missing || now == nil || len(now) != len(stacks[rank]) // it may be still writing
			stacks[rank] = now
		}
		if !missing {
			break
		}
	}
	return stacks
}

// listener reads who listens: the file begins with "pid 123".
func listener(data []byte) int {
	first, _, _ := strings.Cut(string(data), "\n")
	pid, err := strconv.Atoi(strings.TrimPrefix(first, "pid "))
	if err != nil || pid <= 1 {
		return 0
	}
	return pid
}

// descends says whether pid is the worker's process or, where shells lie in between, one below it.
func descends(worker, pid int) bool {
	generation := []int{worker}
	for range 5 {
		var next []int
		for _, one := range generation {
			if one == pid {
				return true
			}
			next = append(next, proc.ChildrenOf(one)...)
		}
		generation = next
	}
	return false
}

var (
	pythonFrame = regexp.MustCompile(`^  File "(.*)", line (\d+|\?\?\?) in (.*)$`)
	goFile      = regexp.MustCompile(`^\t(.*\.go):(\d+)( \+0x[0-9a-f]+)?$`)
	goArguments = regexp.MustCompile(`\((\.\.\.|0x|\{|_|\)).*$`)
)

// parseStack finds the main thread in what Python's faulthandler or Go's runtime wrote. faulthandler puts the oldest
// thread last; Go calls it goroutine 1. Nil: neither was there.
func parseStack(text string) stack {
	var python, golang stack
	inMain, function := false, ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		switch {
		case strings.HasSuffix(line, "(most recent call first):"):
			python = nil
		case strings.HasPrefix(line, "goroutine "):
			inMain = strings.HasPrefix(line, "goroutine 1 ")
		}
		if m := pythonFrame.FindStringSubmatch(line); m != nil {
			python = append(python, frame{file: proc.Sanitize(m[1]), line: m[2], function: proc.Sanitize(m[3])})
		}
		if m := goFile.FindStringSubmatch(line); m != nil && inMain && !strings.HasPrefix(function, "runtime.") && !strings.HasPrefix(function, "sync.") {
			golang = append(golang, frame{file: proc.Sanitize(m[1]), line: m[2], function: proc.Sanitize(function)})
		}
		function = goArguments.ReplaceAllString(line, "")
	}
	if golang != nil {
		return golang
	}
	return python
}

// waits says whether the worker is in a collective, where it waits for others.
func (s stack) waits() bool {
	for _, part := range []string{
		"/torch/distributed/", "/torch/autograd/", "/torch/nn/parallel/", "/ainexus/ranks.py", "/ainexus/stopping.py", "/train/collective/",
	} {
		if len(s) > 0 && strings.Contains(s[0].file, part) {
			return true
		}
	}
	return false
}

// oddOneOut is the rank that all others wait for, or that is somewhere else than all others; -1 where there is none.
func oddOneOut(stacks []stack) int {
	var busy, told []int
	places := map[string][]int{}
	for rank, s := range stacks {
		if len(s) == 0 {
			continue
		}
		told = append(told, rank)
		places[s[0].String()] = append(places[s[0].String()], rank)
		if !s.waits() {
			busy = append(busy, rank)
		}
	}
	if len(busy) == 1 && len(told) > 1 {
		return busy[0]
	}
	if len(told) > 2 && len(places) == 2 {
		for _, rank := range told {
			if alone := places[stacks[rank][0].String()]; len(alone) == 1 {
				return rank
			}
		}
	}
	return -1
}

// inUsersCode is the innermost frame that is not a library's: where a user looks first.
func (s stack) inUsersCode() frame {
	for _, f := range s {
		if !strings.Contains(f.file, "-packages/") && !strings.Contains(f.file, "/lib/python3") && !strings.Contains(f.file, "/ainexus/") &&
			!strings.Contains(f.file, "/go/src/") && !strings.HasPrefix(f.function, "ainexus.io/train") {
			return f
		}
	}
	return s[0]
}

// told is the stack as text, at most 20 lines.
func (s stack) told() (lines []string) {
	for _, f := range s[:min(len(s), 20)] {
		lines = append(lines, fmt.Sprintf("%s:%s in %s", f.file, f.line, f.function))
	}
	return lines
}
