package train

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ainexus.io/c10d"
	"ainexus.io/train/collective"
)

// Without any configuration a script runs alone, with the same calls.
func TestSingleProcessMode(t *testing.T) {
	var logged bytes.Buffer
	env, err := FromEnv(func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var loss [2]float64
	for i := range loss {
		err := Run(t.Context(), Options{Env: &env, Log: &logged, Checkpoints: dir}, func(tr *Trainer) (err error) {
			if !tr.IsMain() || tr.WorldSize() != 1 || tr.LocalRank() != 0 {
				t.Errorf("rank %d of %d", tr.Rank(), tr.WorldSize())
			}
			if err := tr.Barrier(0); err != nil {
				return err
			}
			loss[i], _, err = trainShort(tr, 20+20*i)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if loss[1] >= loss[0] || !strings.Contains(logged.String(), "step=20") {
		t.Errorf("the second run did not go on: losses %v, log %s", loss, &logged)
	}
}

// The script's panic comes back as an error with its stack, and everything is cleaned up.
func TestPanicBecomesAnError(t *testing.T) {
	var group *collective.Group
	cause := errors.New("boom")
	err := Run(t.Context(), Options{Env: &Env{WorldSize: 1}}, func(tr *Trainer) error { group = tr.Group(); panic(cause) })
	var caught *PanicError
	if !errors.As(err, &caught) || !errors.Is(err, cause) || !strings.Contains(caught.Stack, "trainer_test.go") {
		t.Errorf("the error is %v", err)
	}
	if err := group.Barrier(0); !errors.Is(err, collective.ErrClosed) {
		t.Errorf("the group was not closed: %v", err)
	}
}

// The end of the caller's context ends the collectives of all ranks.
func TestContextEndsTheRun(t *testing.T) {
	errs := world(t, 3, Options{}, func(tr *Trainer) error {
		if tr.Rank() == 1 {
			tr.cancel(errors.New("enough"))
			return nil
		}
		return tr.Barrier(0)
	})
	for _, rank := range []int{0, 2} {
		if errs[rank] == nil || !strings.Contains(errs[rank].Error(), "rank 1") {
			t.Errorf("rank %d got %v", rank, errs[rank])
		}
	}
}

// Where nobody serves the store, the missing ranks are told after the time limit.
func TestJoinTimeout(t *testing.T) {
	env := Env{Rank: 1, WorldSize: 2, MasterAddr: "127.0.0.1", MasterPort: 1}
	err := Run(t.Context(), Options{Env: &env, JoinTimeout: 100 * time.Millisecond}, func(*Trainer) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "127.0.0.1:1") || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the error is %v", err)
	}
}

func TestReduceMetrics(t *testing.T) {
	fine(t, world(t, 3, Options{}, func(tr *Trainer) error {
		in := map[string]float64{"loss": float64(tr.Rank()), "n": 10}
		for op := collective.Sum; op <= collective.Max; op++ {
			got, err := tr.ReduceMetrics(in, op)
			if err != nil {
				return err
			}
			want := [...]string{"map[loss:3 n:30]", "map[loss:1 n:10]", "map[loss:0 n:10]", "map[loss:2 n:10]"}[op]
			if fmt.Sprint(got) != want {
				return fmt.Errorf("%v gives %v", op, got)
			}
		}
		return nil
	}))
	for rank, err := range world(t, 2, Options{}, func(tr *Trainer) error {
		_, err := tr.ReduceMetrics(map[string]float64{fmt.Sprint("m", tr.Rank()): 1}, collective.Sum)
		return err
	}) {
		if err == nil || !strings.Contains(err.Error(), "other metrics") {
			t.Errorf("rank %d got %v", rank, err)
		}
	}
}

// A script may run again in the same process, on the same store.
func TestRunTwice(t *testing.T) {
	server, err := c10d.Listen("127.0.0.1:0", c10d.ServerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	errs := make([]error, 2)
	var all sync.WaitGroup
	for rank := range errs {
		env := Env{Rank: rank, WorldSize: 2, MasterAddr: "127.0.0.1", MasterPort: server.Addr().(*net.TCPAddr).Port, StoreServed: true}
		all.Go(func() {
			for range 3 {
				if errs[rank] == nil {
					errs[rank] = Run(t.Context(), Options{Env: &env, JoinTimeout: 10 * time.Second}, func(tr *Trainer) error { return tr.Barrier(0) })
				}
			}
		})
	}
	all.Wait()
	fine(t, errs)
}

// Only rank 0 logs what is usual; warnings come from everybody.
func TestRankZeroLogs(t *testing.T) {
	var mu sync.Mutex
	var logged bytes.Buffer
	w := writerFunc(func(p []byte) (int, error) { mu.Lock(); defer mu.Unlock(); return logged.Write(p) })
	fine(t, world(t, 3, Options{Log: w}, func(tr *Trainer) error {
		tr.Log().Info("usual")
		tr.Log().Warn("unusual")
		return tr.Barrier(0)
	}))
	if strings.Count(logged.String(), "msg=usual rank=0") != 1 || strings.Count(logged.String(), "msg=usual") != 1 ||
		strings.Count(logged.String(), "msg=unusual") != 3 {
		t.Errorf("logged:\n%s", &logged)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// Four ranks reach the loss of one on the same global batches, to 1e-4, and so do two.
func TestRanksReachTheLossOfOne(t *testing.T) {
	losses := make(map[int]float64)
	for _, size := range []int{1, 2, 4} {
		got := make([]float64, size)
		fine(t, world(t, size, Options{}, func(tr *Trainer) (err error) {
			got[tr.Rank()], _, err = trainShort(tr, 40)
			return err
		}))
		losses[size] = got[0]
	}
	for size, loss := range losses {
		if math.Abs(loss-losses[1]) > 1e-4 {
			t.Errorf("%d ranks reach %v, one reaches %v", size, loss, losses[1])
		}
	}
}

// A checkpoint of four ranks is resumed by two, then by one, and each goes on where the last was.
func TestResumeAtAnotherWorldSize(t *testing.T) {
	dir := t.TempDir()
	var straight float64
	fine(t, world(t, 4, Options{}, func(tr *Trainer) error {
		loss, _, err := trainShort(tr, 30)
		if tr.IsMain() {
			straight = loss
		}
		return err
	}))
	loss := 0.0
	for i, size := range []int{4, 2, 1} {
		fine(t, world(t, size, Options{Checkpoints: dir}, func(tr *Trainer) error {
			l, _, err := trainShort(tr, 10*(i+1))
			if tr.IsMain() {
				loss = l
			}
			if tr.Position().Step != int64(10*(i+1)) {
				return fmt.Errorf("the run is at %+v", tr.Position())
			}
			return err
		}))
	}
	if math.Abs(loss-straight) > 1e-4 {
		t.Errorf("with two changes of world size the loss is %v, without %v", loss, straight)
	}
}

// A resumed run at the same world size has the bits of one that was never interrupted, random numbers included.
func TestResumeIsExact(t *testing.T) {
	digest := func(opts Options, stops ...int) (digests [2]string) {
		for _, stop := range stops {
			fine(t, world(t, 2, opts, func(tr *Trainer) (err error) {
				_, digests[tr.Rank()], err = trainShort(tr, stop)
				return err
			}))
		}
		return digests
	}
	whole := digest(Options{Checkpoints: t.TempDir(), Seed: 3}, 20)
	if parts := digest(Options{Checkpoints: t.TempDir(), Seed: 3}, 7, 20); whole != parts {
		t.Errorf("in one go %v, in two %v", whole, parts)
	}
	dir := t.TempDir()
	next := make([][2]uint64, 2)
	for turn := range 2 {
		fine(t, world(t, 2, Options{Checkpoints: dir, Seed: 3}, func(tr *Trainer) error {
			if _, err := tr.Wrap(newModel(1).params(), nil); err != nil {
				return err
			}
			if _, err := tr.Resume(); err != nil {
				return err
			}
			if turn == 0 {
				tr.Rand().Uint64()
				if _, err := tr.Save(); err != nil {
					return err
				}
			}
			next[turn][tr.Rank()] = tr.Rand().Uint64()
			return nil
		}))
	}
	if next[0] != next[1] || next[0][0] == next[0][1] {
		t.Errorf("random numbers went on as %v, resumed as %v; ranks must differ", next[0], next[1])
	}
}

// A checkpoint that does not fit the program is refused by name, on all ranks, with nothing changed.
func TestResumeRefusesAnotherModel(t *testing.T) {
	dir := t.TempDir()
	try := func(name string, n int) []error {
		return world(t, 2, Options{Checkpoints: dir}, func(tr *Trainer) error {
			p := &Param{Name: name, Data: make([]float32, n)}
			if _, err := tr.Wrap([]*Param{p}, nil); err != nil {
				return err
			}
			if _, err := tr.Resume(); err != nil {
				return err
			}
			_, err := tr.Save()
			return err
		})
	}
	fine(t, try("w", 10))
	for _, err := range append(try("w", 11), try("v", 10)...) {
		if err == nil || !strings.Contains(err.Error(), `"w" with 10 values in the checkpoint`) {
			t.Errorf("the error is %v", err)
		}
	}
	fine(t, try("w", 10))
}

// A save that fails on rank 0 fails on all ranks, and the run may go on.
func TestFailedSaveIsKnownToAll(t *testing.T) {
	blocked := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(blocked, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	fine(t, world(t, 3, Options{Checkpoints: filepath.Join(blocked, "ckpt")}, func(tr *Trainer) error {
		if _, err := tr.Wrap(newModel(1).params(), nil); err != nil {
			return err
		}
		if _, err := tr.Save(); err == nil || !strings.Contains(err.Error(), "not a directory") {
			return fmt.Errorf("saving below a file says %v", err)
		}
		return tr.Barrier(0)
	}))
}

// Replicas that have drifted apart are told by rank.
func TestVerifyReplicasFindsTheOddOne(t *testing.T) {
	for _, err := range world(t, 4, Options{}, func(tr *Trainer) error {
		m := newModel(1)
		if _, err := tr.Wrap(m.params(), nil); err != nil {
			return err
		}
		if _, err := tr.VerifyReplicas(); err != nil {
			return err
		}
		if tr.Rank() == 2 {
			m.w.Data[3] = math.Nextafter32(m.w.Data[3], 9)
		}
		_, err := tr.VerifyReplicas()
		return err
	}) {
		if err == nil || !strings.Contains(err.Error(), "ranks [2] have other parameters than ranks [0 1 3]") {
			t.Errorf("the error is %v", err)
		}
	}
}

// Whatever ranks ask for a stop and whenever, all are told at the same step; with gradients and without.
func TestStopIsAgreed(t *testing.T) {
	for _, wrapped := range []bool{true, false} {
		at := make([]int64, 4)
		fine(t, world(t, 4, Options{}, func(tr *Trainer) error {
			m := newModel(1)
			var ddp *DDP
			if wrapped {
				var err error
				if ddp, err = tr.Wrap(m.params(), nil); err != nil {
					return err
				}
			}
			for step := 1; ; step++ {
				if step == 3+tr.Rank()*2 {
					tr.RequestStop()
				}
				if wrapped {
					m.backward([]int{step}, ddp.MarkReady)
					if err := ddp.Sync(); err != nil {
						return err
					}
				}
				stop, err := tr.Step(Report{})
				if err != nil || stop {
					at[tr.Rank()] = tr.Position().Step
					return err
				}
			}
		}))
		if slices.Max(at) != 3 || slices.Min(at) != 3 {
			t.Errorf("the ranks stopped at %v, the first asked at step 3", at)
		}
	}
}
