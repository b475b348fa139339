package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"ainexus.io/bench/machine"
	"ainexus.io/bench/program"
	"ainexus.io/bench/row"
	"ainexus.io/train"
	"ainexus.io/train/checkpoint"
)

//go:embed peer/sdk.py
var packageScript string

// stallOfTrain measures how long a training loop stands still for a save in the background: in the call itself, and in Sync for as much longer as it takes
// than without one. A step of the loop makes a gradient for each parameter, meets in Sync and updates them. Save is what a save takes while nobody trains.
func stallOfTrain(ctx context.Context, b *program.Bench, state checkpoint.State, save float64, lines []row.Line, report func(row.Row)) error {
	var stalls, slower []float64
	opts := train.Options{Env: &train.Env{WorldSize: 1, LocalWorldSize: 1}, Checkpoints: filepath.Join(b.Dir, "train"), Keep: 1, Log: io.Discard}
	err := train.Run(ctx, opts, func(t *train.Trainer) error {
		l := loop{t: t}
		for _, tensor := range state.Params {
			l.params = append(l.params, &train.Param{Name: tensor.Name, Data: tensor.Data})
		}
		var err error
		if l.ddp, err = t.Wrap(l.params, nil); err != nil {
			return err
		}
		for turn := range b.Times(5) + 1 {
			alone, syncs, err := l.steps(3)
			if err != nil {
				return err
			}
			begin := time.Now()
			if err := t.SaveInBackground(); err != nil {
				return err
			}
			stall := time.Since(begin).Seconds()
			var with []float64
			for len(with) == 0 || t.Saving() {
				one, sync, err := l.steps(1)
				if err != nil {
					return err
				}
				with = append(with, one...)
				stall += max(0, sync[0]-row.Median(syncs))
			}
			if turn > 0 { // the first copy took the memory that the others use again
				stalls = append(stalls, 100*stall/save)
				slower = append(slower, 100*(row.Median(with)/row.Median(alone)-1))
			}
		}
		return t.WaitForSave()
	})
	if err != nil {
		return err
	}
	report(lines[0].Alone(row.Median(stalls)))
	report(lines[1].Alone(row.Median(slower)))
	return nil
}

// loop trains something that needs no mathematics.
type loop struct {
	t      *train.Trainer
	ddp    *train.DDP
	params []*train.Param
}

// steps makes some steps and returns the seconds of each, and of Sync in each.
func (l loop) steps(n int) (all, syncs []float64, err error) {
	for range n {
		begin := time.Now()
		for _, p := range l.params {
			for i, v := range p.Data {
				p.Grad[i] = v * 1e-9
			}
			l.ddp.MarkReady(p)
		}
		synced := time.Now()
		if err := l.ddp.Sync(); err != nil {
			return nil, nil, err
		}
		syncs = append(syncs, time.Since(synced).Seconds())
		for _, p := range l.params {
			for i, g := range p.Grad {
				p.Data[i] -= g
			}
		}
		if _, err := l.t.Step(train.Report{}); err != nil {
			return nil, nil, err
		}
		all = append(all, time.Since(begin).Seconds())
	}
	return all, syncs, nil
}

// comparePackage has the Python package save and load by turns with torch, in a process of their own.
func comparePackage(ctx context.Context, b *program.Bench, lines []row.Line, report func(row.Row)) error {
	cmd := exec.CommandContext(ctx, machine.Python, "-c", packageScript, filepath.Join(b.Root, "sdk/python/src"), b.Dir,
		strconv.Itoa(b.Times(5)), strconv.Itoa(tensorCount), strconv.Itoa(tensorBytes))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("saving with the Python package: %w", err)
	}
	var times [6][]float64
	for line := range strings.Lines(string(out)) {
		var one [6]float64
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			return fmt.Errorf("the Python package told %q: %w", line, err)
		}
		for i, seconds := range one {
			times[i] = append(times[i], seconds)
		}
	}
	report(lines[0].Against(row.Median(times[0]), row.Median(times[1])))
	report(lines[1].Against(row.Median(times[2]), row.Median(times[3])))
	var stalls []float64
	for i, stall := range times[4] {
		stalls = append(stalls, 100*stall/times[5][i])
	}
	report(lines[2].Alone(row.Median(stalls)))
	return nil
}
