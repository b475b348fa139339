package train_test

import (
	"context"
	"fmt"
	"os"

	"ainexus.io/train"
	"ainexus.io/train/collective"
)

// alone stands for the environment of a launcher, so that the examples run anywhere.
func alone() *train.Env { return &train.Env{WorldSize: 1} }

// A whole training script: fit y = 3x by gradient descent. Started once it runs alone; started by a launcher as several
// ranks, each rank takes its own samples and the gradients are averaged.
func ExampleRun() {
	err := train.Run(context.Background(), train.Options{Env: alone()}, func(t *train.Trainer) error {
		w := &train.Param{Name: "w", Data: []float32{0}}
		sgd := train.NewSGD([]*train.Param{w}, 0.1, 0)
		ddp, err := t.Wrap([]*train.Param{w}, sgd)
		if err != nil {
			return err
		}
		for range 50 {
			x := float32(1 + t.Rank())
			diff := w.Data[0]*x - 3*x
			w.Grad[0] = 2 * diff * x
			ddp.MarkReady(w)
			if err := ddp.Sync(); err != nil {
				return err
			}
			sgd.Step()
			if stop, err := t.Step(train.Report{Loss: float64(diff * diff)}); err != nil || stop {
				return err
			}
		}
		if t.IsMain() {
			fmt.Printf("w = %.3f after %d steps\n", w.Data[0], t.Position().Step)
		}
		return nil
	})
	if err != nil {
		fmt.Println("error:", err)
	}
	// Output: w = 3.000 after 50 steps
}

func ExampleTrainer_ReduceMetrics() {
	err := train.Run(context.Background(), train.Options{Env: alone()}, func(t *train.Trainer) error {
		mean, err := t.ReduceMetrics(map[string]float64{"accuracy": 0.5}, collective.Mean)
		if err != nil {
			return err
		}
		fmt.Println(mean["accuracy"])
		return nil
	})
	if err != nil {
		fmt.Println("error:", err)
	}
	// Output: 0.5
}

// Save at regular steps, resume at the start: a restarted script goes on where it was.
func ExampleTrainer_Resume() {
	dir, err := os.MkdirTemp("", "ckpt")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	for range 2 {
		err := train.Run(context.Background(), train.Options{Env: alone(), Checkpoints: dir}, func(t *train.Trainer) error {
			w := &train.Param{Name: "w", Data: []float32{0}}
			if _, err := t.Wrap([]*train.Param{w}, nil); err != nil {
				return err
			}
			at, err := t.Resume()
			if err != nil {
				return err
			}
			fmt.Println("beginning at step", at.Step)
			for range 10 {
				w.Data[0]++
				if _, err := t.Step(train.Report{}); err != nil {
					return err
				}
			}
			_, err = t.Save()
			return err
		})
		if err != nil {
			fmt.Println("error:", err)
		}
	}
	// Output:
	// beginning at step 0
	// beginning at step 10
}
