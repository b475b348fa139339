package launch

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ainexus.io/proc"
)

func TestEndingsInWords(t *testing.T) {
	ours := oom{kills: 1, ours: true, limit: 4096}
	for _, test := range []struct {
		exit proc.Exit
		oom  oom
		want string
		code int
	}{
		{proc.Exit{Code: 3}, oom{}, "rank 2 exited with code 3", 3},
		{proc.Exit{Code: -1, Signal: syscall.SIGKILL}, ours, "rank 2 was killed by SIGKILL by the kernel's OOM killer, memory limit 4 GiB", 137},
		{proc.Exit{Code: -1, Signal: syscall.SIGKILL}, oom{kills: 1}, "rank 2 was killed by SIGKILL by the kernel's OOM killer, the machine was out of memory", 137},
		{proc.Exit{Code: -1, Signal: syscall.SIGKILL}, oom{}, "rank 2 was killed by SIGKILL", 137},
		{proc.Exit{Code: -1, Signal: syscall.SIGSEGV}, ours, "rank 2 was killed by SIGSEGV", 139},
		{proc.Exit{Code: 1}, ours, "rank 2 exited with code 1 after the kernel's OOM killer ended one of its processes, memory limit 4 GiB", 1},
		{proc.Exit{Code: 1}, oom{kills: 1}, "rank 2 exited with code 1", 1}, // somebody else's trouble, perhaps
		{proc.Exit{Code: -1, Signal: 40}, oom{}, "rank 2 was killed by signal 40", 168},
	} {
		if got := describe("rank 2", test.exit, test.oom); got != test.want || exitCode(test.exit) != test.code {
			t.Errorf("%+v: %s, %d", test.exit, got, exitCode(test.exit))
		}
	}
}

func TestWhoseErrorComesFirst(t *testing.T) {
	at := time.Now()
	exit := func(ms int, s syscall.Signal) proc.Exit {
		return proc.Exit{Code: 1, Signal: s, At: at.Add(time.Duration(ms) * time.Millisecond)}
	}
	report := func(seconds float64) *errorReport { return &errorReport{message: "m", at: seconds} }
	for _, test := range []struct {
		name     string
		failures []failure
		want     int
	}{
		{"the first death", []failure{{rank: 0, exit: exit(9, 0)}, {rank: 1, exit: exit(5, 0)}}, 1},
		{"a report counts more than a silent exit", []failure{{rank: 0, exit: exit(1, 0)}, {rank: 1, exit: exit(5, 0), report: report(100)}}, 1},
		{"a signal is nobody's consequence", []failure{{rank: 0, exit: exit(1, syscall.SIGSEGV)}, {rank: 1, exit: exit(5, 0), report: report(100)}}, 0},
		{"the earlier report of one that took long to die", []failure{
			{rank: 0, exit: exit(1, 0), report: report(101)}, {rank: 1, exit: exit(900, syscall.SIGTERM), report: report(100)}}, 1},
		{"reports of the same second", []failure{{rank: 0, exit: exit(2, 0), report: report(100)}, {rank: 1, exit: exit(1, 0), report: report(100)}}, 1},
	} {
		if got := rootCause(test.failures).rank; got != test.want {
			t.Errorf("%s: rank %d", test.name, got)
		}
	}
}

func TestErrorFiles(t *testing.T) {
	for text, want := range map[string]*errorReport{
		`{"message":{"message":"ValueError: x","extraInfo":{"py_callstack":"...","timestamp":"1700000000"}}}`: {"ValueError: x", 1700000000},
		`{"message":{"message":"y","extraInfo":{"timestamp":17}}}`:                                            {"y", 17},
		`{"message":"plain"}`: {message: "plain"},
		`{"message":7}`:       nil,
		`{"other":1}`:         nil,
		`{"message":`:         nil,
		``:                    nil,
	} {
		path := filepath.Join(t.TempDir(), "error.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got := readErrorFile(path)
		if (got == nil) != (want == nil) || got != nil && *got != *want {
			t.Errorf("%s: %+v", text, got)
		}
	}
	if got := firstLine("\n  one\x1b[2J\ntwo"); got != "one" {
		t.Errorf("%q", got)
	}
	if got := firstLine(strings.Repeat("x", 1000)); len(got) != 303 {
		t.Errorf("%d bytes", len(got))
	}
}

func TestWhereABareLaunchWrites(t *testing.T) {
	std := func(text string) Std {
		s, err := ParseStd(text)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for _, test := range []struct {
		name           string
		agent          agent
		rank, bit      int
		toFile, screen bool
	}{
		{"no directory", agent{redirects: std("3")}, 0, stdout, false, true},
		{"a directory alone", agent{logDir: "/l"}, 0, stdout, true, true},
		{"redirected", agent{logDir: "/l", redirects: std("3")}, 0, stderr, true, false},
		{"redirected, this rank not", agent{logDir: "/l", redirects: std("1:3")}, 0, stderr, false, true},
		{"stdout alone", agent{logDir: "/l", redirects: std("1")}, 0, stderr, false, true},
		{"teed", agent{logDir: "/l", tee: std("0:1,1:2")}, 1, stderr, true, true},
		{"both: tee wins", agent{logDir: "/l", tee: std("3"), redirects: std("3")}, 0, stdout, true, true},
	} {
		toFile, shown := test.agent.streams(test.rank, test.bit)
		if toFile != test.toFile || shown != test.screen {
			t.Errorf("%s: file %v, screen %v", test.name, toFile, shown)
		}
	}
}
