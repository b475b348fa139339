package launch

import (
	"syscall"
	"testing"

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
		agent          *agent
		rank, bit      int
		toFile, screen bool
	}{
		{"no directory", &agent{redirects: std("3")}, 0, stdout, false, true},
		{"a directory alone", &agent{logDir: "/l"}, 0, stdout, true, true},
		{"redirected", &agent{logDir: "/l", redirects: std("3")}, 0, stderr, true, false},
		{"redirected, this rank not", &agent{logDir: "/l", redirects: std("1:3")}, 0, stderr, false, true},
		{"stdout alone", &agent{logDir: "/l", redirects: std("1")}, 0, stderr, false, true},
		{"teed", &agent{logDir: "/l", tee: std("0:1,1:2")}, 1, stderr, true, true},
		{"both: tee wins", &agent{logDir: "/l", tee: std("3"), redirects: std("3")}, 0, stdout, true, true},
	} {
		toFile, shown := test.agent.streams(test.rank, test.bit)
		if toFile != test.toFile || shown != test.screen {
			t.Errorf("%s: file %v, screen %v", test.name, toFile, shown)
		}
	}
}
