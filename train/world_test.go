package train

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"ainexus.io/c10d"
	"ainexus.io/train/collective"
)

// world runs f on size ranks in this process, over real sockets and a real store, and returns each rank's error.
func world(t *testing.T, size int, opts Options, f func(*Trainer) error) []error {
	t.Helper()
	server, err := c10d.Listen("127.0.0.1:0", c10d.ServerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	if opts.Log == nil {
		opts.Log = io.Discard
	}
	opts.JoinTimeout = 10 * time.Second
	errs := make([]error, size)
	var all sync.WaitGroup
	for rank := range size {
		env := Env{}
		if opts.Env != nil {
			env = *opts.Env
		}
		env.Rank, env.WorldSize, env.LocalRank, env.LocalWorldSize = rank, size, rank, size
		env.MasterAddr, env.MasterPort, env.StoreServed = "127.0.0.1", server.Addr().(*net.TCPAddr).Port, true
		mine := opts
		mine.Env = &env
		all.Go(func() { errs[rank] = Run(t.Context(), mine, f) })
	}
	all.Wait()
	return errs
}

// fine fails the test unless all ranks ended well.
func fine(t *testing.T, errs []error) {
	t.Helper()
	for rank, err := range errs {
		if err != nil {
			t.Errorf("rank %d: %v", rank, err)
		}
	}
}

// model is a small one: y = w*x + b over several features, by hand.
type model struct{ w, b *Param }

func newModel(seed uint64) *model {
	random := rand.New(rand.NewPCG(seed, 1))
	m := &model{w: &Param{Name: "w", Data: make([]float32, 8)}, b: &Param{Name: "b", Data: make([]float32, 1)}}
	for i := range m.w.Data {
		m.w.Data[i] = float32(random.NormFloat64())
	}
	return m
}

func (m *model) params() []*Param { return []*Param{m.w, m.b} }

// backward returns the mean squared error over samples and sets the gradients.
func (m *model) backward(samples []int, ready func(*Param)) float64 {
	clear(m.w.Grad)
	clear(m.b.Grad)
	loss := 0.0
	n := float32(len(samples))
	for _, s := range samples {
		random := rand.New(rand.NewPCG(uint64(s), 99))
		x := make([]float32, len(m.w.Data))
		want, got := float32(0.5), m.b.Data[0]
		for i := range x {
			x[i] = float32(random.NormFloat64())
			want += x[i] * float32(i%3)
			got += x[i] * m.w.Data[i]
		}
		d := got - want
		loss += float64(d*d) / float64(n)
		for i := range x {
			m.w.Grad[i] += 2 * d * x[i] / n
		}
		m.b.Grad[0] += 2 * d / n
	}
	ready(m.b)
	ready(m.w)
	return loss
}

// processes are the ranks of a job as separate processes: the test binary runs itself.
type processes struct {
	cmds []*exec.Cmd
	outs []*output
	errs []error
}

// output collects what a process prints and tells when a word has come.
type output struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	grew chan struct{}
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.buf.Write(p)
	close(o.grew)
	o.grew = make(chan struct{})
	return len(p), nil
}

func (o *output) String() string { o.mu.Lock(); defer o.mu.Unlock(); return o.buf.String() }

// await returns when the process has printed word.
func (o *output) await(t *testing.T, word string) {
	t.Helper()
	late := time.After(20 * time.Second)
	for {
		o.mu.Lock()
		has, grew := strings.Contains(o.buf.String(), word), o.grew
		o.mu.Unlock()
		if has {
			return
		}
		select {
		case <-grew:
		case <-late:
			t.Fatalf("%q did not come; so far:\n%s", word, o)
		}
	}
}

const scriptVar = "TRAIN_TEST_SCRIPT"

// spawn starts size processes that run a script of TestMain. Rank 0 serves the store.
func spawn(t *testing.T, size int, script string, vars ...string) *processes {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	listener.Close()
	p := &processes{errs: make([]error, size)}
	for rank := range size {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), scriptVar+"="+script, fmt.Sprint("RANK=", rank), fmt.Sprint("WORLD_SIZE=", size),
			fmt.Sprint("LOCAL_RANK=", rank), fmt.Sprint("LOCAL_WORLD_SIZE=", size), "MASTER_ADDR=127.0.0.1", fmt.Sprint("MASTER_PORT=", port))
		for _, v := range vars {
			cmd.Env = append(cmd.Env, strings.ReplaceAll(v, "{rank}", fmt.Sprint(rank)))
		}
		out := &output{grew: make(chan struct{})}
		cmd.Stdout, cmd.Stderr = out, out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		p.cmds, p.outs = append(p.cmds, cmd), append(p.outs, out)
	}
	t.Cleanup(func() {
		for _, cmd := range p.cmds {
			cmd.Process.Kill()
		}
	})
	return p
}

// wait waits for the given ranks, or for all.
func (p *processes) wait(ranks ...int) {
	if len(ranks) == 0 {
		for rank := range p.cmds {
			ranks = append(ranks, rank)
		}
	}
	var all sync.WaitGroup
	for _, rank := range ranks {
		all.Go(func() { p.errs[rank] = p.cmds[rank].Wait() })
	}
	all.Wait()
}

// ok fails the test unless all ranks ended well.
func (p *processes) ok(t *testing.T) {
	t.Helper()
	for rank, err := range p.errs {
		if err != nil {
			t.Errorf("rank %d: %v\n%s", rank, err, p.outs[rank])
		}
	}
}

func TestMain(m *testing.M) {
	name := os.Getenv(scriptVar)
	if name == "" {
		os.Exit(m.Run())
	}
	opts := Options{Checkpoints: os.Getenv("TRAIN_TEST_CKPT"), JoinTimeout: 15 * time.Second, Seed: 5}
	if limit := os.Getenv("TRAIN_TEST_TIMEOUT"); limit != "" {
		opts.Timeout, _ = time.ParseDuration(limit)
	}
	if err := Run(context.Background(), opts, scripts()[name]); err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
}

// scripts are what spawned processes do.
func scripts() map[string]func(*Trainer) error {
	return map[string]func(*Trainer) error{
		// Reduces for ever, until something breaks.
		"reduce": func(t *Trainer) error {
			data := make([]float32, 1<<16)
			for i := 0; ; i++ {
				if err := collective.AllReduce(t.Group(), data, collective.Sum); err != nil {
					return err
				}
				if i == 10 {
					fmt.Println("reducing")
				}
			}
		},
		// Rank 2 dawdles outside of the barrier.
		"barrier": func(t *Trainer) error {
			fmt.Println("joined")
			if t.Rank() == 2 {
				<-t.Context().Done()
				return context.Cause(t.Context())
			}
			return t.Barrier(300 * time.Millisecond)
		},
		"fail": func(t *Trainer) error {
			if t.Rank() == 1 {
				return errors.New("loss is NaN at step 7")
			}
			return t.Barrier(0)
		},
		"panic": func(t *Trainer) error {
			if t.Rank() == 1 {
				var empty []int
				empty[t.Rank()]++
			}
			return t.Barrier(0)
		},
		// Trains until asked to stop, then saves and acknowledges.
		"until stopped": func(t *Trainer) error {
			m := newModel(uint64(t.Rank()))
			sgd := NewSGD(m.params(), 0.01, 0.9)
			ddp, err := t.Wrap(m.params(), sgd)
			if err != nil {
				return err
			}
			for {
				loss := m.backward([]int{t.Rank(), 10 + t.Rank()}, ddp.MarkReady)
				if err := ddp.Sync(); err != nil {
					return err
				}
				sgd.Step()
				stop, err := t.Step(Report{Loss: loss})
				if err != nil {
					return err
				}
				if t.Position().Step == 5 {
					fmt.Println("training")
				}
				if stop {
					digest, err := t.VerifyReplicas()
					if err != nil {
						return err
					}
					fmt.Println("stopped at", t.Position().Step, digest)
					return t.SaveAndAck()
				}
			}
		},
		// Trains 300 steps and saves every tenth.
		"long": func(t *Trainer) error {
			loss, digest, err := trainFor(t, 300, 10)
			fmt.Println("result", digest, loss)
			return err
		},
		// Trains 30 steps of a fixed global batch and says where that led.
		"short": func(t *Trainer) error {
			loss, digest, err := trainShort(t, 30)
			fmt.Println("result", digest, loss)
			return err
		},
	}
}

// trainShort trains some steps, from the latest checkpoint, and saves at the end.
func trainShort(t *Trainer, steps int) (float64, string, error) { return trainFor(t, steps, steps) }

// trainFor trains on a global batch of 24 samples per step, cut by rank, and returns the mean loss of the last step and
// the digest. Where there is a directory for checkpoints, it resumes and saves every so many steps.
func trainFor(t *Trainer, steps, every int) (float64, string, error) {
	m := newModel(uint64(1 + t.Rank())) // Wrap makes them equal
	if t.IsMain() {
		m = newModel(1)
	}
	sgd := NewSGD(m.params(), 0.05, 0.9)
	ddp, err := t.Wrap(m.params(), sgd)
	if err != nil {
		return 0, "", err
	}
	if t.opts.Checkpoints != "" {
		if _, err := t.Resume(); err != nil {
			return 0, "", err
		}
	}
	loss, saves := 0.0, 0
	for step := int(t.Position().Step); step < steps; step++ {
		var batch []int
		for i := t.Rank(); i < 24; i += t.WorldSize() {
			batch = append(batch, step*24+i)
		}
		mine := m.backward(batch, ddp.MarkReady)
		if err := ddp.Sync(); err != nil {
			return 0, "", err
		}
		sgd.Step()
		if _, err := t.Step(Report{Loss: mine}); err != nil {
			return 0, "", err
		}
		metrics, err := t.ReduceMetrics(map[string]float64{"loss": mine}, collective.Mean)
		if err != nil {
			return 0, "", err
		}
		loss = metrics["loss"]
		if t.opts.Checkpoints != "" && (step+1)%every == 0 {
			if _, err := t.Save(); err != nil {
				return 0, "", err
			}
			saves++
			fmt.Printf("save %d of this round\n", saves)
		}
	}
	digest, err := t.VerifyReplicas()
	return loss, digest, err
}
