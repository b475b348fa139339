package train

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"ainexus.io/train/checkpoint"
	"ainexus.io/train/collective"
)

// Trainer is one rank's view of the job. Methods that say "all ranks" are collective: every rank must call them in the
// same order. It belongs to the goroutine of the script; [DDP.MarkReady] says otherwise for itself.
type Trainer struct {
	opts       Options
	env        Env
	ctx        context.Context
	cancel     context.CancelCauseFunc
	log        *slog.Logger
	group      *collective.Group
	closeStore func()
	watch      sync.WaitGroup
	source     *rand.PCG
	random     *rand.Rand
	progress   *progressFile
	pace       pace

	params    []*Param
	optimizer Optimizer
	ddp       *DDP
	dir       *checkpoint.Dir
	saves     background
	at        Position

	stopping atomic.Bool // this rank was asked to stop
	stopped  bool        // all ranks agreed to
	signals  chan os.Signal
}

// Rank is this process's place among the ranks, from 0.
func (t *Trainer) Rank() int { return t.env.Rank }

// LocalRank is the rank's place on its machine, from 0: which device it should use.
func (t *Trainer) LocalRank() int { return t.env.LocalRank }

// WorldSize is the number of ranks.
func (t *Trainer) WorldSize() int { return t.env.WorldSize }

// IsMain reports whether this is rank 0, the one that logs and saves.
func (t *Trainer) IsMain() bool { return t.env.Rank == 0 }

// Env is what the launcher said.
func (t *Trainer) Env() Env { return t.env }

// Context ends when the run does: the caller's context ended, or another rank failed, which [context.Cause] tells.
func (t *Trainer) Context() context.Context { return t.ctx }

// Log is rank 0's logger. On other ranks it passes warnings and errors only.
func (t *Trainer) Log() *slog.Logger { return t.log }

// Rand is this rank's random numbers: of Options.Seed and the rank, saved in checkpoints. Ranks differ; what must be the
// same on all ranks needs a source of its own.
func (t *Trainer) Rand() *rand.Rand { return t.random }

// Group is the connection to the other ranks, for the functions of package collective.
func (t *Trainer) Group() *collective.Group { return t.group }

// Barrier returns when all ranks have called it. After limit (0: Options.Timeout) it fails with a
// [collective.TimeoutError] that names the missing ranks.
func (t *Trainer) Barrier(limit time.Duration) error {
	if err := t.idle(); err != nil {
		return err
	}
	defer t.pace.apart()()
	return t.group.Barrier(limit)
}

// idle refuses a collective while gradients travel in the background: the ranks would mix them up.
func (t *Trainer) idle() error {
	if t.ddp != nil && t.ddp.underway() {
		return errors.New("gradients are under way: call Sync first")
	}
	return nil
}

// ReduceMetrics reduces each metric over all ranks; all must pass the same names. The argument is left as it is.
func (t *Trainer) ReduceMetrics(metrics map[string]float64, op collective.Op) (map[string]float64, error) {
	if err := t.idle(); err != nil {
		return nil, err
	}
	defer t.pace.apart()()
	names := slices.Sorted(maps.Keys(metrics))
	if err := t.sameNames(names); err != nil {
		return nil, err
	}
	values := make([]float64, len(names))
	for i, name := range names {
		values[i] = metrics[name]
	}
	if err := collective.AllReduce(t.group, values, op); err != nil {
		return nil, err
	}
	reduced := make(map[string]float64, len(names))
	for i, name := range names {
		reduced[name] = values[i]
	}
	return reduced, nil
}

// sameNames fails on every rank if one of them reduces other metrics.
func (t *Trainer) sameNames(names []string) error {
	sum := fnv.New64a()
	for _, name := range names {
		fmt.Fprintf(sum, "%d %s ", len(name), name)
	}
	mine := sum.Sum(nil)
	all := make([]byte, len(mine)*t.env.WorldSize)
	if err := collective.AllGather(t.group, all, mine); err != nil {
		return err
	}
	for rank := range t.env.WorldSize {
		if !slices.Equal(all[rank*len(mine):(rank+1)*len(mine)], all[:len(mine)]) {
			return fmt.Errorf("rank %d reduces other metrics than rank 0 (rank %d has %v)", rank, t.env.Rank, names)
		}
	}
	return nil
}

// VerifyReplicas returns the [Digest] of the wrapped parameters, or an error on every rank if it is not the same on all.
func (t *Trainer) VerifyReplicas() (string, error) {
	if err := t.idle(); err != nil {
		return "", err
	}
	defer t.pace.apart()()
	mine := []byte(Digest(t.params))
	all := make([]byte, len(mine)*t.env.WorldSize)
	if err := collective.AllGather(t.group, all, mine); err != nil {
		return "", err
	}
	votes := make(map[string][]int)
	for rank := range t.env.WorldSize {
		digest := string(all[rank*len(mine) : (rank+1)*len(mine)])
		votes[digest] = append(votes[digest], rank)
	}
	if len(votes) == 1 {
		return string(mine), nil
	}
	// The largest camp is taken to be right; among equals, the one with the lowest rank.
	camps := slices.SortedFunc(maps.Values(votes), func(a, b []int) int {
		return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a[0], b[0]))
	})
	var odd []int
	for _, camp := range camps[1:] {
		odd = append(odd, camp...)
	}
	slices.Sort(odd)
	return "", fmt.Errorf("the replicas differ: ranks %v have other parameters than ranks %v", odd, camps[0])
}
