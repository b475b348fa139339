package train

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// Gradients in any shape of buckets, marked in any order, on any goroutine or not at all, become the mean of all ranks.
func TestGradientsAreAveraged(t *testing.T) {
	for _, bucket := range []int{4, 40, 4 << 20} {
		fine(t, world(t, 3, Options{BucketBytes: bucket}, func(tr *Trainer) error {
			var params []*Param
			for i, n := range []int{5, 1, 0, 17, 3} {
				p := &Param{Name: fmt.Sprint("p", i), Data: make([]float32, n)}
				if i%2 == 1 {
					p.Grad = make([]float32, n) // its own memory
				}
				params = append(params, p)
			}
			ddp, err := tr.Wrap(params, nil)
			if err != nil {
				return err
			}
			for step := range 4 {
				var marks sync.WaitGroup
				for _, i := range rand.Perm(len(params)) {
					p := params[i]
					for j := range p.Grad {
						p.Grad[j] = float32(tr.Rank()*3 + i*10 + j + step)
					}
					if i != step {
						marks.Go(func() { ddp.MarkReady(p) })
					}
				}
				marks.Wait()
				if err := ddp.Sync(); err != nil {
					return err
				}
				for i, p := range params {
					for j, got := range p.Grad {
						if want := float32(3 + i*10 + j + step); got != want {
							return fmt.Errorf("bucket %d, step %d: %s[%d] is %v, not %v", bucket, step, p.Name, j, got, want)
						}
					}
				}
			}
			return nil
		}))
	}
}

// The first gradients travel while the others are still computed: that is what buckets are for.
func TestGradientsTravelBeforeTheBackwardPassEnds(t *testing.T) {
	fine(t, world(t, 2, Options{BucketBytes: 40}, func(tr *Trainer) error {
		first, last := &Param{Name: "first", Data: make([]float32, 10)}, &Param{Name: "last", Data: make([]float32, 10)}
		ddp, err := tr.Wrap([]*Param{first, last}, nil)
		if err != nil {
			return err
		}
		last.Grad[0] = float32(tr.Rank())
		ddp.MarkReady(last)
		// The mean of rank 0's 0 and rank 1's 1 arrives although nobody has called Sync, nor marked the other.
		for deadline := time.Now().Add(10 * time.Second); ; runtime.Gosched() {
			if ddp.buckets[0].arrived.Load() == 1 {
				break
			}
			if time.Now().After(deadline) {
				return errors.New("the first bucket has not travelled")
			}
		}
		if last.Grad[0] != 0.5 {
			return fmt.Errorf("the mean gradient is %v", last.Grad[0])
		}
		return ddp.Sync()
	}))
}

// Mistakes with gradients are told.
func TestMistakesWithGradients(t *testing.T) {
	fine(t, world(t, 2, Options{}, func(tr *Trainer) error {
		m := newModel(1)
		if _, err := tr.Resume(); err == nil {
			return errors.New("resumed without a model")
		}
		ddp, err := tr.Wrap(m.params(), nil)
		if err != nil {
			return err
		}
		if _, err := tr.Wrap(m.params(), nil); err == nil {
			return errors.New("wrapped twice")
		}
		ddp.MarkReady(m.w)
		ddp.MarkReady(m.b)
		if err := tr.Barrier(0); err == nil || !strings.Contains(err.Error(), "call Sync first") {
			return fmt.Errorf("a collective in the midst of gradients says %v", err)
		}
		ddp.MarkReady(m.b)
		if err := ddp.Sync(); err == nil || !strings.Contains(err.Error(), `"b" was marked ready twice`) {
			return fmt.Errorf("marking twice says %v", err)
		}
		return ddp.Sync()
	}))
	for name, params := range map[string][]*Param{
		"called":    {{Name: "a"}, {Name: "a"}},
		"nil":       {nil},
		"gradients": {{Name: "a", Data: make([]float32, 2), Grad: make([]float32, 1)}},
	} {
		for _, err := range world(t, 1, Options{}, func(tr *Trainer) error { _, err := tr.Wrap(params, nil); return err }) {
			if err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}
