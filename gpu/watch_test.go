//go:build linux && (amd64 || arm64) && !nogpu

package gpu_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"ainexus.io/gpu"
	"ainexus.io/gpu/gputest"
)

// quick are options under which a blocked driver is noticed soon. The timeouts still leave a busy machine room.
func quick(t *testing.T, lib string) gpu.Options {
	return gpu.Options{
		Library: lib, NvidiaSMI: missing, Child: sampler(t),
		Timeout: 2 * time.Second, StartTimeout: 4 * time.Second, Backoff: 50 * time.Millisecond,
	}
}

func TestOneGPUBlocksTheDriverTheOthersGoOn(t *testing.T) {
	t.Parallel()
	lib := gputest.Build(t)
	fleet := gputest.Uniform(4, "A", 1000)
	gputest.Write(t, lib, fleet)
	r := gpu.New(quick(t, lib))
	defer r.Close()
	if s := take(t, r); len(s.Devices) != 4 || len(unwell(s)) != 0 {
		t.Fatalf("%+v", s)
	}

	fleet.GPUs[2].State = gputest.Hang
	fleet.GPUs[3].UsedMiB = 123
	gputest.Write(t, lib, fleet)
	s := take(t, r)
	if !reflect.DeepEqual(unwell(s), []int{2}) {
		t.Fatalf("only GPU 2 is unwell: %+v", s)
	}
	if d := s.Devices[2]; d.UUID != gputest.UUID(2) || d.MemoryMiB != 1000 || !strings.Contains(d.Problem, "blocked") {
		t.Errorf("as last known: %+v", d)
	}
	if d := s.Devices[3]; d.UsedMiB != 123 {
		t.Errorf("the others are fresh: %+v", d)
	}

	fleet.GPUs[2].State = gputest.OK
	gputest.Write(t, lib, fleet)
	eventually(t, "the GPU is tried again", func() bool { return len(unwell(take(t, r))) == 0 })
}

func TestTheWholeDriverBlocks(t *testing.T) {
	t.Parallel()
	lib := gputest.Build(t)
	fleet := gputest.Uniform(2, "A", 1000)
	gputest.Write(t, lib, fleet)
	opts := quick(t, lib)
	opts.Idle = time.Millisecond // each sample finds a fresh driver
	r := gpu.New(opts)
	defer r.Close()
	take(t, r)

	fleet.InitHang = true
	gputest.Write(t, lib, fleet)
	var s gpu.Sample
	eventually(t, "the driver blocks", func() bool { s = take(t, r); return s.Broken })
	if len(s.Devices) != 2 || len(unwell(s)) != 2 || s.Devices[0].UUID != gputest.UUID(0) || !strings.Contains(s.Devices[0].Problem, "blocked") {
		t.Errorf("all as last known, unwell: %+v", s)
	}

	fleet.InitHang = false
	gputest.Write(t, lib, fleet)
	eventually(t, "the driver is back", func() bool { s := take(t, r); return !s.Broken && len(unwell(s)) == 0 })
}

func TestASamplerThatIsKilledIsReplacedUnseen(t *testing.T) {
	lib := gputest.Build(t)
	gputest.Write(t, lib, gputest.Uniform(2, "A", 1000))
	r := gpu.New(quick(t, lib))
	defer r.Close()
	take(t, r)
	for _, pid := range children(t) {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	if s := take(t, r); s.Broken || len(unwell(s)) != 0 {
		t.Errorf("%+v", s)
	}
}

func TestALibraryThatCrashesOnOneGPU(t *testing.T) {
	lib := gputest.Build(t)
	fleet := gputest.Uniform(3, "A", 1000)
	gputest.Write(t, lib, fleet)
	var log bytes.Buffer
	opts := quick(t, lib)
	opts.Log = slog.New(slog.NewTextHandler(&log, nil))
	r := gpu.New(opts)
	defer r.Close()
	take(t, r)

	fleet.GPUs[1].State = gputest.Crash
	gputest.Write(t, lib, fleet)
	s := take(t, r)
	if !reflect.DeepEqual(unwell(s), []int{1}) || !strings.Contains(s.Devices[1].Problem, "made the sampler die") {
		t.Errorf("%+v", s)
	}
	if !strings.Contains(log.String(), "GPU left out") || !strings.Contains(log.String(), "gpu="+gputest.UUID(1)) {
		t.Errorf("the operator is not told:\n%s", log.String())
	}
}

func TestAProgramThatIsNoSampler(t *testing.T) {
	lib := gputest.Build(t)
	for _, argv := range [][]string{{missing}, {"/bin/sh", "-c", "echo this is not it >&2; exit 7"}} {
		opts := quick(t, lib)
		opts.Child = argv
		r := gpu.New(opts)
		s := take(t, r)
		if !s.Broken || len(s.Devices) != 0 {
			t.Errorf("%v: %+v", argv, s)
		}
		if argv[0] != missing && (!strings.Contains(s.Reason, "exit status 7") || !strings.Contains(s.Reason, "this is not it")) {
			t.Errorf("the program's last words are lost: %q", s.Reason)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestALibraryThatPrintsDoesNotDisturb(t *testing.T) {
	t.Parallel()
	lib := gputest.Build(t)
	fleet := gputest.Uniform(1, "A", 1000)
	fleet.Chatter = true
	gputest.Write(t, lib, fleet)
	r := gpu.New(quick(t, lib))
	defer r.Close()
	for range 3 {
		if s := take(t, r); s.Broken || len(s.Devices) != 1 {
			t.Fatalf("%+v", s)
		}
	}
}

func TestNoChildWithoutDevicesAndNoneAfterIdleOrClose(t *testing.T) {
	lib := gputest.Build(t)
	opts := quick(t, lib)
	r := gpu.New(opts)
	defer r.Close()
	if s := take(t, r); s.Source != gpu.SourceNVML || len(s.Devices) != 0 {
		t.Fatalf("%+v", s)
	}
	if left := children(t); len(left) != 0 {
		t.Errorf("a machine without devices keeps children %v", left)
	}
	gputest.Write(t, lib, gputest.Uniform(1, "A", 1000))
	if s := take(t, r); len(s.Devices) != 0 {
		t.Errorf("asked again before Recheck: %+v", s)
	}

	opts.Idle = 100 * time.Millisecond
	idle := gpu.New(opts)
	take(t, idle)
	eventually(t, "an idle child ends itself", func() bool { return len(children(t)) == 0 })
	if s := take(t, idle); len(s.Devices) != 1 || s.Broken {
		t.Errorf("the next one answers: %+v", s)
	}
	if err := idle.Close(); err != nil {
		t.Error(err)
	}
	if err := idle.Close(); err != nil {
		t.Error(err)
	}
	if left := children(t); len(left) != 0 {
		t.Errorf("children %v are left after Close", left)
	}
	if _, err := idle.Sample(t.Context()); !errors.Is(err, gpu.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestACallerWhoGivesUpHarmsNobody(t *testing.T) {
	t.Parallel()
	lib := gputest.Build(t)
	fleet := gputest.Uniform(2, "A", 1000)
	gputest.Write(t, lib, fleet)
	r := gpu.New(quick(t, lib))
	defer r.Close()
	take(t, r)
	fleet.GPUs[0].State = gputest.Hang
	gputest.Write(t, lib, fleet)

	// Callers with less patience than the watch: the watch counts on over all of them.
	eventually(t, "somebody is told", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		s, err := r.Sample(ctx)
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		return err == nil && reflect.DeepEqual(unwell(s), []int{0})
	})
}

// The parent is killed while its child hangs in the driver: the child sees the end of its input and goes.
func TestAChildOutlivesNobody(t *testing.T) {
	t.Parallel()
	lib := gputest.Build(t)
	fleet := gputest.Uniform(1, "A", 1000)
	fleet.InitHang = true
	gputest.Write(t, lib, fleet)
	argv := sampler(t)
	cmd := exec.Command(argv[0], argv[1:]...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Write([]byte(`{"id":1,"library":` + strconv.Quote(lib) + "}\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil { // it has begun
		t.Fatal(err)
	}
	in.Close()
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		_ = cmd.Process.Kill()
		t.Error("the child stays in the driver for ever")
	}
}

// children gives the processes whose parent is this test; a zombie counts until it is reaped.
func children(t *testing.T) []int {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, path := range stats {
		data, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
		if len(fields) > 1 && fields[1] == strconv.Itoa(os.Getpid()) {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, pid)
		}
	}
	return pids
}
