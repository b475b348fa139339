//go:build linux && (amd64 || arm64) && !nogpu

package nccl_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"ainexus.io/train"
	"ainexus.io/train/collective"
	"ainexus.io/train/nccl"
	"ainexus.io/train/nccl/nccltest"
)

// The ranks of the tests are real processes: this program again, with a script to run.
func TestMain(m *testing.M) {
	script := map[string]func(*train.Trainer) error{"work": work, "loop": loop, "learn": learn}[os.Getenv("NCCL_TEST_SCRIPT")]
	if script == nil {
		os.Exit(m.Run())
	}
	counted := &counter{}
	timeout, _ := time.ParseDuration(os.Getenv("NCCL_TEST_TIMEOUT"))
	patience, _ := time.ParseDuration(os.Getenv("NCCL_TEST_JOIN"))
	libraries := nccl.Options{NCCL: os.Getenv("NCCL_TEST_NCCL"), CUDA: os.Getenv("NCCL_TEST_CUDA")}
	err := train.Run(context.Background(), train.Options{
		Timeout: timeout, JoinTimeout: patience, BucketBytes: 128 << 10,
		Carrier: func(rank, size int) (c collective.Carrier, err error) {
			if counted.Carrier, err = libraries.Find(rank, size); err != nil {
				return nil, err
			}
			return counted, nil
		},
	}, script)
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	fmt.Printf("well, with %d calls carried\n", counted.calls)
	os.Exit(0)
}

// counter counts what a carrier carries.
type counter struct {
	collective.Carrier
	calls int
}

func (c *counter) AllReduce(data []byte, bits int) error {
	c.calls++
	return c.Carrier.AllReduce(data, bits)
}
func (c *counter) ReduceScatter(dst, src []byte, bits int) error {
	c.calls++
	return c.Carrier.ReduceScatter(dst, src, bits)
}
func (c *counter) AllGather(dst, src []byte) error { c.calls++; return c.Carrier.AllGather(dst, src) }
func (c *counter) Broadcast(data []byte, root int) error {
	c.calls++
	return c.Carrier.Broadcast(data, root)
}

// work makes every collective, small and large, and looks at each element.
func work(t *train.Trainer) error {
	g, rank, size := t.Group(), t.Rank(), t.WorldSize()
	total := float64(size*(size+1)) / 2
	for _, n := range []int{3, 40_000, 9 << 20} { // the last one is more than fits on the GPU at a time
		x, y := make([]float32, n), make([]float64, min(n, 100_000))
		for i := range x {
			x[i] = float32((rank + 1) * (i % 1000))
		}
		for i := range y {
			y[i] = float64(rank+1) * float64(i)
		}
		if err := errors.Join(collective.AllReduce(g, x, collective.Sum), collective.AllReduce(g, y, collective.Mean)); err != nil {
			return err
		}
		for i := range x {
			if want := float32(total) * float32(i%1000); x[i] != want {
				return fmt.Errorf("sum %d of %d is %v, not %v", i, n, x[i], want)
			}
		}
		for i := range y {
			if want := total * float64(i) / float64(size); y[i] != want {
				return fmt.Errorf("mean %d of %d is %v, not %v", i, n, y[i], want)
			}
		}
	}
	for _, n := range []int{5, 300_001} {
		mine, all := make([]byte, n), make([]byte, n*size)
		for i := range mine {
			mine[i] = byte(i*7 + rank)
		}
		if err := collective.AllGather(g, all, mine); err != nil {
			return err
		}
		for i, b := range all {
			if b != byte(i%n*7+i/n) {
				return fmt.Errorf("gathered %d of %d from rank %d: %d", i%n, n, i/n, b)
			}
		}
		if err := collective.Broadcast(g, mine, 1); err != nil {
			return err
		}
		for i, b := range mine {
			if b != byte(i*7+1) {
				return fmt.Errorf("byte %d of %d from rank 1 is %d", i, n, b)
			}
		}
		src, dst := make([]float64, n*size), make([]float64, n)
		for i := range src {
			src[i] = float64(rank + i)
		}
		if err := collective.ReduceScatter(g, dst, src, collective.Sum); err != nil {
			return err
		}
		for i, v := range dst {
			if want := float64(size*(rank*n+i)) + total - float64(size); v != want {
				return fmt.Errorf("part %d of %d is %v, not %v", i, n, v, want)
			}
		}
	}
	// What NCCL does otherwise goes another way: the maximum of a NaN is one.
	z := make([]float32, 40_000)
	if rank == 0 {
		z[7] = float32(nan())
	}
	if err := collective.AllReduce(g, z, collective.Max); err != nil || z[7] == z[7] {
		return fmt.Errorf("the maximum of a NaN is %v, %v", z[7], err)
	}
	return t.Barrier(0)
}

func nan() float64 { zero := 0.0; return zero / zero }

// loop reduces for ever.
func loop(t *train.Trainer) error {
	data := make([]float32, 1<<16)
	for {
		if err := collective.AllReduce(t.Group(), data, collective.Sum); err != nil {
			return err
		}
	}
}

// learn trains a model of some buckets, whose gradients travel by the carrier.
func learn(t *train.Trainer) error {
	var params []*train.Param
	for i := range 5 {
		params = append(params, &train.Param{Name: strconv.Itoa(i), Data: make([]float32, 30_000)})
	}
	sgd := train.NewSGD(params, 0.1, 0.9)
	ddp, err := t.Wrap(params, sgd)
	if err != nil {
		return err
	}
	for step := range 10 {
		for i, p := range params {
			for k := range p.Grad {
				p.Grad[k] = float32(step + i*k%7 + t.Rank())
			}
			ddp.MarkReady(p)
		}
		if err := ddp.Sync(); err != nil {
			return err
		}
		sgd.Step()
		if _, err := t.Step(train.Report{}); err != nil {
			return err
		}
	}
	digest, err := t.VerifyReplicas()
	fmt.Println("digest", digest)
	return err
}

// ranks runs a script in so many processes, each with variables of its own ("1:KEY=value" is for rank 1), and returns what each printed.
func ranks(t *testing.T, size int, script string, l nccltest.Libraries, vars ...string) []string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	listener.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	outs, cmds := make([]bytes.Buffer, size), make([]*exec.Cmd, size)
	for rank := range size {
		cmd := exec.CommandContext(ctx, os.Args[0])
		cmd.Env = append(os.Environ(), "NCCL_TEST_SCRIPT="+script, "NCCL_TEST_NCCL="+l.NCCL, "NCCL_TEST_CUDA="+l.CUDA, fmt.Sprint("RANK=", rank),
			fmt.Sprint("WORLD_SIZE=", size), fmt.Sprint("LOCAL_RANK=", rank), fmt.Sprint("LOCAL_WORLD_SIZE=", size), "MASTER_ADDR=127.0.0.1", fmt.Sprint("MASTER_PORT=", port))
		for _, v := range vars {
			if whose, value, ok := strings.Cut(v, ":"); !ok {
				cmd.Env = append(cmd.Env, v)
			} else if whose == strconv.Itoa(rank) {
				cmd.Env = append(cmd.Env, value)
			}
		}
		cmd.Stdout, cmd.Stderr = &outs[rank], &outs[rank]
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		cmds[rank] = cmd
	}
	texts := make([]string, size)
	for rank, cmd := range cmds {
		cmd.Wait()
		texts[rank] = outs[rank].String()
	}
	if ctx.Err() != nil {
		t.Fatalf("the ranks do not end:\n%s", strings.Join(texts, "\n"))
	}
	return texts
}

// each wants words of every rank but those left out.
func each(t *testing.T, texts []string, words string, but ...int) {
	t.Helper()
	for rank, text := range texts {
		left := false
		for _, b := range but {
			left = left || b == rank
		}
		if !left && !strings.Contains(text, words) {
			t.Errorf("rank %d does not say %q:\n%s", rank, words, text)
		}
	}
}

// Every collective goes through the library between real processes, the id by value included, and gives what it should.
func TestCollectives(t *testing.T) {
	l := nccltest.Build(t)
	each(t, ranks(t, 2, "work", l), "well, with 7 calls carried")
	each(t, ranks(t, 3, "work", l), "well, with 7 calls carried")
}

// A library from before calls that do not block.
func TestOldLibrary(t *testing.T) {
	l := nccltest.Build(t, "ncclCommInitRankConfig", "ncclCommFinalize", "ncclGetLastError")
	each(t, ranks(t, 2, "work", l, "STUB_NCCL_VERSION=21003"), "well, with 7 calls carried")
	each(t, ranks(t, 2, "learn", l, "STUB_NCCL_VERSION=2304"), "reason=\"libnccl is of version 2304", 1)
}

// Training is the same on all ranks, and its gradients are carried.
func TestTraining(t *testing.T) {
	texts := ranks(t, 4, "learn", nccltest.Build(t))
	each(t, texts, "well, with ")
	if strings.Contains(texts[0], "with 0 calls") {
		t.Errorf("nothing is carried: %s", texts[0])
	}
	digest, _, _ := strings.Cut(texts[0], "\n")
	each(t, texts, digest)
}

// Without GPUs, without the library, or with fewer GPUs than ranks everything works as if there were no carrier, and one line says
// why.
func TestDoingWithout(t *testing.T) {
	l := nccltest.Build(t)
	nowhere := nccltest.Libraries{NCCL: "/nowhere/libnccl.so.2", CUDA: l.CUDA}
	for _, test := range []struct {
		l    nccltest.Libraries
		vars []string
		want string
		who  int
	}{
		{nccltest.Libraries{NCCL: l.NCCL, CUDA: "/nowhere/libcuda.so.1"}, nil, "INFO msg=\"the ranks talk over memory and TCP\" rank=0 reason=\"there is no /nowhere/libcuda.so.1\"", 0},
		{nowhere, nil, "reason=\"there is no /nowhere/libnccl.so.2\"", 0},
		{l, []string{"STUB_GPUS=0"}, "reason=\"there is no GPU here\"", 0},
		{l, []string{"STUB_GPUS=1"}, "reason=\"2 ranks of this machine would share 1 GPUs\"", 0},
		{l, []string{"1:STUB_GPUS=0"}, "WARN msg=\"the ranks talk over memory and TCP\" rank=1 reason=\"there is no GPU here\"", 1},
		{nccltest.Libraries{NCCL: l.CUDA, CUDA: l.CUDA}, nil, "level=WARN msg=\"the ranks talk over memory and TCP\" rank=0 reason=\"libnccl is too old, or something else: it has no ncclGetVersion\"", 0},
	} {
		texts := ranks(t, 2, "learn", test.l, test.vars...)
		each(t, texts, "well, with 0 calls carried")
		if !strings.Contains(texts[test.who], test.want) || strings.Contains(texts[1-test.who], "reason=") {
			t.Errorf("no %q by rank %d alone:\n%s\n%s", test.want, test.who, texts[0], texts[1])
		}
	}
}

// What goes wrong in the library on one rank is told on all of them, with the rank and in the library's words, and ends all.
func TestFailures(t *testing.T) {
	l := nccltest.Build(t)
	for _, test := range []struct {
		name, script string
		vars         []string
		want         string
		but          []int
	}{
		{"no way to the others", "work", []string{"1:STUB_NCCL=init-error"},
			"rank 1 failed: NCCL, joining the other ranks: unhandled system error: stub: no socket interface was found", nil},
		{"an error from elsewhere", "loop", []string{"1:STUB_NCCL=async-error@20"},
			"rank 1 failed: NCCL, all-reduce: remote process exited or there was a network error: stub: the connection was reset by peer", nil},
		{"a rank dies in the middle", "loop", []string{"1:STUB_NCCL=die@20"}, "rank 1 died", []int{1}},
		{"a kernel hangs", "loop", []string{"1:STUB_NCCL=hang@20", "NCCL_TEST_TIMEOUT=5s"}, "is not done after 5s", nil},
		{"no memory", "loop", []string{"1:STUB_CUDA=oom"}, "rank 1 failed: CUDA, taking 262144 bytes of memory: out of memory (error 2)", nil},
		{"a driver that does not return", "loop", []string{"1:STUB_CUDA=hang", "NCCL_TEST_TIMEOUT=5s"}, "is not done after 5s", nil},
		{"one that does not come", "work", []string{"1:STUB_NCCL=init-hang", "NCCL_TEST_JOIN=15s"}, "the other ranks' carriers did not come in time", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			each(t, ranks(t, 3, test.script, l, test.vars...), test.want, test.but...)
		})
	}
}

// Who does not ask for it links no foreign call, and nobody does in a build without GPUs.
func TestWhoDoesNotAskLinksNothing(t *testing.T) {
	for _, args := range [][]string{{"ainexus.io/train"}, {"-tags", "nogpu", "ainexus.io/train/nccl"}} {
		out, err := exec.Command("go", append([]string{"list", "-deps"}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("go list: %v\n%s", err, out)
		}
		if strings.Contains(string(out), "purego") || !strings.Contains(string(out), "ainexus.io/train/collective") {
			t.Errorf("%v links\n%s", args, out)
		}
	}
}
