package launch

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"ainexus.io/launch/elastic"
	"ainexus.io/proc"
)

// What a worker leaves, and how much that says.
func TestWhoseErrorComesFirst(t *testing.T) {
	began := time.Unix(1_700_000_000, 0)
	at := func(ms int) time.Time { return began.Add(time.Duration(ms) * time.Millisecond) }
	code := func(ms, code int, tail ...string) failure {
		return failure{exit: proc.Exit{Code: code, At: at(ms)}, tail: tail}
	}
	killed := func(ms int, s syscall.Signal, tail ...string) failure {
		return failure{exit: proc.Exit{Code: -1, Signal: s, At: at(ms)}, tail: tail}
	}
	reports := func(f failure, written int, message string) failure { // torch writes whole seconds
		f.report = &errorReport{message: message, written: at(written), at: at(written).Truncate(time.Second)}
		return f
	}
	traceback := func(last ...string) []string {
		return append([]string{"Traceback (most recent call last):", `  File "train.py", line 3, in <module>`, "    raise ValueError(1)"}, last...)
	}
	const (
		gloo  = "RuntimeError: [../third_party/gloo/gloo/transport/tcp/pair.cc:534] Connection closed by peer [127.0.0.1]:31000"
		store = "RuntimeError: Socket Timeout"
		nccl  = "[rank1]:[E ProcessGroupNCCL.cpp:616] [Rank 1] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=7, OpType=ALLREDUCE) ran for 600029 milliseconds before timing out."
	)
	multi := []string{"torch.distributed.DistBackendError: NCCL error in: NCCLUtils.cpp:317, remote process exited or there was a network error, NCCL version 2.21.5",
		"ncclRemoteError: A call failed possibly due to a network error or a remote process exiting prematurely."}
	for _, test := range []struct {
		name     string
		failures []failure
		killer   oom
		want     int
		why      string
	}{
		{"the first death", []failure{code(9, 1), code(5, 1)}, oom{}, 1, "by when it ended"},
		{"a report against a silent exit", []failure{code(1, 1), reports(code(5, 1), 4, "ValueError: x")}, oom{}, 1, "by its error file"},
		{"a traceback against a silent exit", []failure{code(1, 1), code(5, 1, traceback("ValueError: x")...)}, oom{}, 1, "by its last words"},
		{"a crash is nobody's consequence", []failure{killed(1, syscall.SIGSEGV), reports(code(5, 1), 4, "ValueError: x")}, oom{}, 0, "by its signal"},
		{"nor is a crash below a shell", []failure{code(1, 139), reports(code(5, 1), 4, "ValueError: x")}, oom{}, 0, "by its signal"},
		{"the earlier report of one that took long to die", []failure{
			reports(code(1500, 1), 1400, "KeyError: 1"), reports(killed(2900, syscall.SIGTERM), 900, "ValueError: x")}, oom{}, 1, "by its error file"},
		{"reports of the same second", []failure{reports(code(300, 1), 200, "a"), reports(code(250, 1), 210, "b")}, oom{}, 0, "by its error file"},
		{"a crash before a report was written", []failure{reports(code(900, 1), 890, "a"), killed(880, syscall.SIGBUS)}, oom{}, 1, "by its signal"},
		{"gloo's words on a death that was noticed later", []failure{code(1, 1, traceback(gloo)...), code(5, 1)}, oom{}, 1, "by when it ended"},
		{"a report that says so", []failure{reports(code(1, 1), 1, gloo), killed(3, syscall.SIGKILL)}, oom{}, 1, "by its signal"},
		{"the store's words", []failure{code(1, 1, traceback(store)...), code(5, 3)}, oom{}, 1, "by when it ended"},
		{"NCCL's watchdog aborts first, the cause tells its error late", []failure{
			killed(1, syscall.SIGABRT, nccl, "terminate called after throwing an instance of 'c10::DistBackendError'"), reports(code(900, 1), 890, "ValueError: x")}, oom{}, 1, "by its error file"},
		{"gloo's patience is over", []failure{code(1, 1, traceback("RuntimeError: [../gloo/transport/tcp/unbound_buffer.cc:81] Timed out waiting 1800000ms for recv operation to complete")...), code(5, 9)}, oom{}, 1, "by when it ended"},
		{"NCCL's words in many lines", []failure{code(1, 1, traceback(multi...)...), code(5, 9)}, oom{}, 1, "by when it ended"},
		{"a silent abort against a report", []failure{killed(1, syscall.SIGABRT), reports(code(5, 1), 4, "ValueError: x")}, oom{}, 1, "by its error file"},
		{"an abort alone", []failure{killed(1, syscall.SIGABRT), killed(5, syscall.SIGPIPE)}, oom{}, 0, "by when it ended"},
		{"all wait for one that hangs: the first that gave up", []failure{killed(5, syscall.SIGABRT, nccl), killed(1, syscall.SIGABRT, nccl)}, oom{}, 1,
			"though it says that another one was gone before"},
		{"the OOM killer's victim against who lost it", []failure{code(1, 1, traceback(gloo)...), killed(4, syscall.SIGKILL)}, oom{kills: 1, ours: true}, 1, "by the kernel's OOM killer"},
		{"the OOM killer's victim below a shell", []failure{code(1, 1, traceback(gloo)...), code(4, 137)}, oom{kills: 1, ours: true}, 1, "by its signal"},
		{"a warning of long ago is no error", []failure{code(1, 1, "ConnectionError: retrying", "epoch 3"), code(5, 1, traceback("ValueError: x")...)}, oom{}, 1, "by its last words"},
		{"a panic", []failure{code(1, 1), code(5, 2, "panic: index out of range", "", "goroutine 1 [running]:", "main.main()")}, oom{}, 1, "by its last words"},
		{"a clock that makes no sense", []failure{reports(code(1, 1), 5e8, "a"), reports(code(5, 1), 4, "b")}, oom{}, 0, "by its error file"},
	} {
		for i := range test.failures {
			test.failures[i].rank = i
			test.failures[i].weigh(began, test.killer)
		}
		if got := rootCause(test.failures); got.rank != test.want || got.why != test.why {
			t.Errorf("%s: rank %d, %s", test.name, got.rank, got.why)
		}
	}
}

// Other nodes are told as much as fits.
func TestTheTailThatOthersAreTold(t *testing.T) {
	long := strings.Repeat("x", 9<<10)
	if got := bounded([]string{"1", long, long, "4"}); len(got) != 2 || got[1] != "4" {
		t.Errorf("%d lines", len(got))
	}
	if got := bounded([]string{"1", strings.Repeat("x", 1<<20)}); len(got) != 0 {
		t.Errorf("%d lines", len(got))
	}
	if got := lastLines(make([]string, 50)); len(got) != 20 {
		t.Errorf("%d lines", len(got))
	}
}

func TestErrorFiles(t *testing.T) {
	at := time.Unix(1_700_000_000, 0)
	for text, want := range map[string]*errorReport{
		// As PyTorch 1.13 and 2.6 write it, and as 1.13's agent does for the one above it.
		`{"message": {"message": "ValueError: x", "extraInfo": {"py_callstack": "Traceback:\n  File\n", "timestamp": "1700000000"}}}`: {
			message: "ValueError: x", stack: []string{"Traceback:", "  File"}, at: at},
		`{"message": {"message": "y", "errorCode": 3, "extraInfo": {"py_callstack": "", "timestamp": 1700000000}}}`: {message: "y", at: at},
		`{"message": {"message": "z"}}`:                                    {message: "z"},
		`{"message": {"message": "z", "extraInfo": {"timestamp": "now"}}}`: {message: "z"},
		`{"message": {"message": "z", "extraInfo": {"timestamp": 1e300}}}`: {message: "z"},
		`{"message": "plain"}`:                                             {message: "plain"},
		`{"message": 7}`:                                                   nil,
		`{"other": 1}`:                                                     nil,
		`{"message":`:                                                      nil,
		``:                                                                 nil,
	} {
		path := filepath.Join(t.TempDir(), "error.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got := readErrorFile(path)
		if got != nil {
			if got.written.IsZero() {
				t.Errorf("%s: no time", text)
			}
			got.written = time.Time{}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v", text, got)
		}
	}
	if readErrorFile("/dev/zero") != nil || readErrorFile(t.TempDir()) != nil {
		t.Error("what is no file is read")
	}
	if got := firstLine("\n  one\x1b[2J\ntwo"); got != "one" {
		t.Errorf("%q", got)
	}
	if got := firstLine(strings.Repeat("x", 1000)); len(got) != 303 {
		t.Errorf("%d bytes", len(got))
	}
}

// An error file of whatever bytes is read or passed over.
func FuzzErrorFile(f *testing.F) {
	f.Add([]byte(`{"message": {"message": "m", "extraInfo": {"py_callstack": "s", "timestamp": "17"}}}`))
	f.Add([]byte(`{"message": "m"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := parseErrorFile(data)
		if r == nil {
			return
		}
		now := time.Unix(1_700_000_000, 0)
		if when := r.when(now, now); when.After(now) || when.Before(now.Add(-time.Second)) {
			t.Errorf("%s", when)
		}
		failed := failure{report: r, exit: proc.Exit{Code: 1, At: now}}
		if failed.weigh(now, oom{}); failed.proof == elastic.Unsaid || strings.ContainsAny(failed.words, "\n\r") {
			t.Errorf("%+v", failed)
		}
	})
}
