// Command mnist trains a classifier of handwritten digits on all processes that its launcher started, or on one.
//
// Each step, every rank takes its share of the batch; gradients are averaged; all ranks hold the same parameters. It saves
// after each epoch, and when it is told to stop.
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"ainexus.io/train"
)

// settings are what the flags say.
type settings struct {
	epochs, batch int // batch: images per step, of all ranks together
	rate          float64
	hidden        int
	limit         int // images used of the training set; 0: all
	seed          uint64
	data          string
	checkpoints   string
	resume        bool
}

func main() {
	var s settings
	flag.IntVar(&s.epochs, "epochs", 6, "passes over the training images")
	flag.IntVar(&s.batch, "batch", 128, "images per step, of all ranks together")
	flag.Float64Var(&s.rate, "rate", 0.1, "learning rate at the start; it falls to 0 in a straight line")
	flag.IntVar(&s.hidden, "hidden", 128, "width of the hidden layer")
	flag.IntVar(&s.limit, "limit", 0, "use only so many training images; 0 is all")
	flag.Uint64Var(&s.seed, "seed", 1, "of weights and order")
	flag.StringVar(&s.data, "data", "", "directory of the images (default: where the module GoMNIST lies)")
	flag.StringVar(&s.checkpoints, "checkpoints", "ckpt", "directory below which checkpoints are kept, by job")
	flag.BoolVar(&s.resume, "resume", false, "go on from the latest checkpoint also when started by hand")
	flag.Parse()
	useThreads(os.Getenv("OMP_NUM_THREADS"))
	if err := run(context.Background(), s); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// useThreads honours what launchers set so that the processes of a machine share its processors.
func useThreads(text string) {
	if n, err := strconv.Atoi(text); err == nil && n > 0 && os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(n)
	}
}

func run(ctx context.Context, s settings) error {
	env, err := train.FromEnv(os.Getenv)
	if err != nil {
		return err
	}
	return runAs(ctx, s, env, os.Stdout)
}

// runAs runs one rank. Checkpoints are kept by job, so that a new job trains afresh and a restarted one goes on.
func runAs(ctx context.Context, s settings, env train.Env, out *os.File) error {
	opts := train.Options{
		Env: &env, Seed: s.seed, Checkpoints: filepath.Join(s.checkpoints, cmp.Or(env.Job, "by-hand")),
	}
	s.resume = s.resume || env.Job != "" || env.Round > 0
	return train.Run(ctx, opts, func(t *train.Trainer) error { return s.train(t, out) })
}
