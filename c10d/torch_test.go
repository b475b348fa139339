package c10d

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// python is an interpreter with PyTorch: NEXUS_TEST_PYTHON (a command line, such as one that enters a chroot), else
// Debian's. Without it the test is skipped, under CI=true it fails.
func python(t *testing.T, ctx context.Context, env []string, args ...string) *exec.Cmd {
	t.Helper()
	command := strings.Fields(os.Getenv("NEXUS_TEST_PYTHON"))
	if len(command) == 0 {
		command = []string{"/usr/bin/python3"}
	}
	cmd := exec.CommandContext(ctx, command[0], append(command[1:], args...)...)
	cmd.Env = append(os.Environ(), env...)
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// script is the full path of a file in testdata: an interpreter in a chroot finds it there if it is bound or copied.
func script(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("testdata", name))
	ok(t, err)
	return path
}

func needTorch(t *testing.T) (context.Context, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	out, err := python(t, ctx, nil, "-c", "import torch, torch.distributed; print(torch.__version__)").CombinedOutput()
	if err == nil {
		return ctx, strings.TrimSpace(string(out))
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("PyTorch is missing, install python3-torch: %v\n%s", err, out)
	}
	t.Skip("no PyTorch here: install python3-torch, or name an interpreter that has it in NEXUS_TEST_PYTHON")
	return nil, ""
}

func warnings() (*slog.Logger, func() string) {
	var log logBuffer
	return slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn})), log.String
}

// known are the answers in which we differ from PyTorch's own server as Debian builds it, which is the one without
// libuv, by the name of the question: theirs and ours. Its server with libuv answers as ours, as far as its source tells.
func known(release string) map[string][2]string {
	differ := map[string][2]string{
		// The waits of other ranks would never end.
		"compare_set wakes": {`'timeout'`, `'done'`},
		// The limits are those of the server with libuv, and can be set.
		"a key of 8193 bytes":           {`[b'v']`, `['closed']`},
		"a value of 8 MiB and one byte": {`[1]`, `['closed']`},
		// A client that asks for what is not there is no reason to throw it out.
		"get of a missing key":   {`['closed']`, `[b'']`},
		"multi_get, one missing": {`[40, 'closed']`, `[40, b'']`},
		// What is no number counts as 0, as C's strtoll has it.
		"add to words": {`['closed']`, `[1]`},
	}
	if strings.HasPrefix(release, "1.") {
		delete(differ, "multi_get, one missing") // it has no such request
	}
	return differ
}

// The same conversation is held with PyTorch's own server and with ours: every answer is the same, but for what is known.
func TestPyTorchServerConformance(t *testing.T) {
	ctx, release := needTorch(t)
	log, warned := warnings()
	ours := startServer(t, ServerOptions{Logger: log})
	got := converse(t, ctx, ours.Addr().String())
	want := converse(t, ctx, ownServer(t, ctx))
	if len(want) < 80 {
		t.Errorf("PyTorch %s answered only %d questions", release, len(want))
	}
	differ := known(release)
	for i, question := range want {
		name, theirs, _ := strings.Cut(question, ": ")
		if i >= len(got) {
			t.Fatalf("PyTorch %s: ours stopped before %q", release, name)
		}
		answer, _ := strings.CutPrefix(got[i], name+": ")
		expected := [2]string{theirs, theirs}
		if d, ok := differ[name]; ok {
			expected = d
			delete(differ, name)
		}
		if theirs != expected[0] || answer != expected[1] {
			t.Errorf("PyTorch %s: %s: theirs %.100s, ours %.100s, expected %.100s and %.100s", release, name, theirs, answer, expected[0], expected[1])
		}
	}
	if len(got) > len(want) {
		t.Errorf("PyTorch %s: ours went on with %q", release, got[len(want)])
	}
	for name := range differ {
		t.Errorf("PyTorch %s was not asked: %s", release, name)
	}
	for line := range strings.Lines(warned()) { // of the hostile questions only
		if !strings.Contains(line, "limit") && !strings.Contains(line, "unknown opcode") {
			t.Errorf("the server warned: %s", line)
		}
	}
}

// ownServer starts PyTorch's own TCPStore in a process of its own and gives its address.
func ownServer(t *testing.T, ctx context.Context) string {
	t.Helper()
	cmd := python(t, ctx, nil, script(t, "conformance.py"), "serve")
	in, err := cmd.StdinPipe()
	ok(t, err)
	out, err := cmd.StdoutPipe()
	ok(t, err)
	ok(t, cmd.Start())
	t.Cleanup(func() {
		in.Close() // which ends it
		cmd.Wait()
	})
	var port int
	if _, err := fmt.Fscanf(out, "port %d\n", &port); err != nil {
		t.Fatalf("PyTorch's own server does not start: %v", err)
	}
	return fmt.Sprint("127.0.0.1:", port)
}

// converse asks the server at addr everything and gives the lines that it was answered.
func converse(t *testing.T, ctx context.Context, addr string) []string {
	t.Helper()
	host, port, _ := net.SplitHostPort(addr)
	var complaints strings.Builder
	cmd := python(t, ctx, nil, script(t, "conformance.py"), "ask", host, port)
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("asking %s: %v\n%s%s", addr, err, out, complaints.String())
	}
	return slices.DeleteFunc(strings.Split(string(out), "\n"), func(line string) bool {
		return line == "" || strings.HasPrefix(line, "# ")
	})
}

// Four ranks of real PyTorch form a process group through our store, reduce, train a step, and agree. Then two
// of them on the same server: a new round, and smaller, after Reset.
func TestPyTorchProcessGroup(t *testing.T) {
	ctx, release := needTorch(t)
	log, warned := warnings()
	s := startServer(t, ServerOptions{Logger: log})
	_, port, _ := net.SplitHostPort(s.Addr().String())
	for round, world := range []int{4, 2} {
		out := make([]string, world)
		var ranks sync.WaitGroup
		for rank := range world {
			cmd := python(t, ctx, []string{
				fmt.Sprint("RANK=", rank), fmt.Sprint("WORLD_SIZE=", world), fmt.Sprint("LOCAL_RANK=", rank),
				"MASTER_ADDR=127.0.0.1", "MASTER_PORT=" + port, "GLOO_SOCKET_IFNAME=lo", "OMP_NUM_THREADS=1",
				"TORCHELASTIC_USE_AGENT_STORE=True", "TORCHELASTIC_RUN_ID=test",
				// The same count in both rounds: only Reset keeps them apart.
				"TORCHELASTIC_RESTART_COUNT=0", "TORCHELASTIC_MAX_RESTARTS=0",
			}, script(t, "ddp.py"))
			ranks.Go(func() {
				b, err := cmd.CombinedOutput()
				out[rank] = string(b)
				if err != nil {
					t.Errorf("PyTorch %s, round %d, rank %d: %v\n%s", release, round, rank, err, b)
				}
			})
		}
		ranks.Wait()
		for rank, got := range out {
			want := []string{ // the sum of rank + 1; the mean of 2 x rank
				fmt.Sprintf("rank %d of 4: sum 10, gradient 3, ranks [0, 1, 2, 3]\n", rank),
				fmt.Sprintf("rank %d of 2: sum 3, gradient 1, ranks [0, 1]\n", rank),
			}[round]
			if !strings.HasSuffix(got, want) {
				t.Errorf("PyTorch %s, round %d: got %q, want %q", release, round, got, want)
			}
		}
		s.Reset()
	}
	if w := warned(); w != "" {
		t.Errorf("the server warned:\n%s", w)
	}
}
