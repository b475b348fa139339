package c10d

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
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

// PyTorch's own client finds every call answered as by PyTorch's own server.
func TestPyTorchClientConformance(t *testing.T) {
	ctx, release := needTorch(t)
	log, warned := warnings()
	s := startServer(t, ServerOptions{Logger: log})
	host, port, _ := net.SplitHostPort(s.Addr().String())
	out, err := python(t, ctx, nil, script(t, "conformance.py"), host, port).CombinedOutput()
	if err != nil {
		t.Fatalf("PyTorch %s: %v\n%s", release, err, out)
	}
	always := []string{
		`get b'value'`,
		`bytes b'\x00\xff\n'`,
		`empty b''`,
		`add [5, -2, b'-2']`,
		`delete [True, False]`,
		`compare_set absent b'expected'`,
		`compare_set first b'first'`,
		`compare_set wrong b'first'`,
		`compare_set right b'second'`,
		`waited get b'came'`,
		`wait timeout 'refused'`,
		`after the timeout [b'now', b'now']`,
		`large 8388608`,
		`prefix b'scoped'`,
	}
	newer := []string{ // where the release has the call
		`append b'abcd'`,
		`multi [b'2', b'1']`,
		`check [True, False]`,
		`queue [2, b'first', b'second', 0]`,
	}
	for _, want := range always {
		if !strings.Contains(string(out), want+"\n") {
			t.Errorf("PyTorch %s: no line %q", release, want)
		}
	}
	for _, want := range newer {
		call, _, _ := strings.Cut(want, " ")
		if strings.Contains(string(out), "\n"+call+" ") && !strings.Contains(string(out), want+"\n") {
			t.Errorf("PyTorch %s: no line %q", release, want)
		}
	}
	if w := warned(); w != "" {
		t.Errorf("the server warned:\n%s", w)
	}
	if t.Failed() {
		t.Logf("PyTorch %s said:\n%s", release, out)
	}
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
