package train

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"ainexus.io/train/collective"
)

// Options are the settings of a run. The zero value is good.
type Options struct {
	// Checkpoints is the directory that checkpoints are kept in. Without one, saving is an error.
	Checkpoints string
	Keep        int    // checkpoints kept; default 3, less than 0 keeps all
	Seed        uint64 // of [Trainer.Rand]; the same on all ranks

	JoinTimeout time.Duration // how long to wait for all ranks at the start; default 5 minutes
	Timeout     time.Duration // of one collective; default 10 minutes
	BucketBytes int           // gradients that travel together; default 4 MiB

	// Carrier carries gradients and other large buffers past memory and TCP where it can be had: Find of package
	// nccl, for one. It is told which rank of this machine this is, and how many there are (0: not known).
	Carrier func(localRank, localSize int) (collective.Carrier, error)

	Log io.Writer // default os.Stderr
	Env *Env      // default: FromEnv(os.Getenv)
}

const (
	defaultJoinTimeout = 5 * time.Minute
	defaultBucket      = 4 << 20
)

// PanicError is a panic of the script, told as an error.
type PanicError struct {
	Value any
	Stack string
}

// Error shows the value and where it happened.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v\n\n%s", e.Value, e.Stack) }

// Unwrap returns the value, if it is an error.
func (e *PanicError) Unwrap() error { err, _ := e.Value.(error); return err }

// Run joins this process to its job, calls f and cleans up, also when f panics: the panic comes back as a [PanicError].
// When f fails on one rank, the other ranks' collectives fail with an error that names it. When ctx ends, so do the
// collectives.
func Run(ctx context.Context, opts Options, f func(*Trainer) error) (err error) {
	env, err := opts.env()
	if err != nil {
		return err
	}
	t, err := start(ctx, opts, env)
	if err != nil {
		tellLauncher(env, err)
		return err
	}
	defer func() {
		if err == nil {
			err = t.saves.wait()
		}
		if err != nil {
			t.giveUp(err)
		}
		t.saves.wait() // who failed is done with it too, but the others hear of the failure first
		t.stop()
	}()
	return call(t, f)
}

// call runs the script and catches its panic.
func call(t *Trainer, f func(*Trainer) error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &PanicError{Value: value, Stack: string(debug.Stack())}
		}
	}()
	return f(t)
}

func (o Options) env() (Env, error) {
	if o.Env != nil {
		return *o.Env, nil
	}
	return FromEnv(os.Getenv)
}

// start brings a trainer up.
func start(ctx context.Context, opts Options, env Env) (*Trainer, error) {
	if opts.JoinTimeout <= 0 {
		opts.JoinTimeout = defaultJoinTimeout
	}
	if opts.BucketBytes <= 0 {
		opts.BucketBytes = defaultBucket
	}
	if opts.Log == nil {
		opts.Log = os.Stderr
	}
	ctx, cancel := context.WithCancelCause(ctx)
	t := &Trainer{opts: opts, env: env, ctx: ctx, cancel: cancel, log: newLogger(opts.Log, env)}
	t.source = rand.NewPCG(opts.Seed, uint64(env.Rank))
	t.random = rand.New(t.source)
	t.progress = newProgressFile(env.ProgressFile, t.log)
	group, closeStore, err := join(ctx, opts, env, t.log)
	if err != nil {
		cancel(err)
		return nil, err
	}
	t.group, t.closeStore = group, closeStore
	if env.WorldSize > 1 {
		group.Until(ctx)
		t.watch.Go(func() {
			select {
			case <-group.Broken():
				cancel(group.Err())
			case <-ctx.Done():
			}
		})
	}
	return t, nil
}

// giveUp tells the other ranks and the launcher why this one failed. Who only failed because another did keeps quiet.
func (t *Trainer) giveUp(err error) {
	if t.group.Err() != nil {
		return
	}
	tellLauncher(t.env, err)
	word := "failed: "
	if errors.As(err, new(*PanicError)) {
		word = "panicked: "
	}
	first, _, _ := strings.Cut(strings.TrimPrefix(err.Error(), "panic: "), "\n")
	t.group.Abort(word + first)
}

// stop undoes start, in reverse.
func (t *Trainer) stop() {
	t.disarm()
	if t.ddp != nil {
		t.ddp.close()
	}
	t.group.Close()
	t.cancel(errors.New("the run has ended"))
	t.watch.Wait()
	t.closeStore()
	t.progress.close()
}

// newLogger returns rank 0's logger, or one that lets warnings and errors of other ranks through.
func newLogger(w io.Writer, env Env) *slog.Logger {
	level := slog.LevelInfo
	if env.Rank != 0 {
		level = slog.LevelWarn
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level})).With("rank", env.Rank)
}
