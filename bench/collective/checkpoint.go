package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"ainexus.io/bench/machine"
	"ainexus.io/bench/program"
	"ainexus.io/bench/row"
	"ainexus.io/train/checkpoint"
)

//go:embed peer/save.py
var saveScript string

// A checkpoint here is 1 GiB in 16 tensors.
const (
	tensorCount = 16
	tensorBytes = 64 * mib
)

func checkpointLines() []row.Line {
	return []row.Line{
		{What: "checkpoint of 1 GiB: save, with fsync and our SHA-256, against torch.save of 1.13 with fsync", Unit: "s", Must: row.AtMostTimes(">= 1.0x", 1)},
		{What: "checkpoint of 1 GiB: load, against torch.load of 1.13", Unit: "s", Must: row.AtMostTimes(">= 1.0x", 1)},
		{What: "checkpoint of 1 GiB: load, with our SHA-256 compared, against torch.load of 1.13", Unit: "s"},
		{What: "checkpoint of 1 GiB: stall of the training loop by an asynchronous save, of the save's time", Unit: "%", Must: row.AtMost("<= 5 % of the save", 5)},
		{What: "checkpoint of 1 GiB: how much slower the training loop is while an asynchronous save is written", Unit: "%"},
		{What: "checkpoint of 1 GiB: save_checkpoint of ainexus, with fsync and SHA-256, against torch.save of 1.13 with fsync", Unit: "s", Must: row.AtMostTimes(">= 1.0x", 1)},
		{What: "checkpoint of 1 GiB: load_checkpoint of ainexus, every byte compared, against torch.load of 1.13 into the same model", Unit: "s", Must: row.AtMostTimes(">= 1.0x", 1)},
		{What: "checkpoint of 1 GiB: stall of the training loop by a save of ainexus in the background, of the save's time", Unit: "%", Must: row.AtMost("<= 5 % of the save", 5)},
	}
}

// compareCheckpoints saves and loads by turns, each side in a process that lives all the time.
func compareCheckpoints(ctx context.Context, b *program.Bench, report func(row.Row)) error {
	lines := checkpointLines()
	theirs, err := start(ctx, b, side{name: "torch", command: func(ctx context.Context, b *program.Bench, dir string, _ int) ([]*exec.Cmd, func(), error) {
		cmd := exec.CommandContext(ctx, machine.Python, "-c", saveScript, dir, filepath.Join(b.Dir, "torch.pt"), strconv.Itoa(tensorCount), strconv.Itoa(tensorBytes))
		return []*exec.Cmd{cmd}, func() {}, nil
	}}, 1)
	if err != nil {
		return fmt.Errorf("starting PyTorch: %w", err)
	}
	defer theirs.stop()
	state := checkpoint.State{WorldSize: 1}
	for i := range tensorCount {
		data := make([]float32, tensorBytes/4)
		for k := range data {
			data[k] = float32(k%1000) + float32(i)
		}
		state.Params = append(state.Params, checkpoint.Tensor{Name: "t" + strconv.Itoa(i), Data: data})
	}
	dir := checkpoint.At(filepath.Join(b.Dir, "ckpt"), checkpoint.Options{Keep: 1})
	if err := dir.Claim(); err != nil {
		return err
	}
	var ours, peer [3][]float64
	for range b.Times(5) {
		t, err := saveAndLoad(dir, state)
		if err != nil {
			return err
		}
		answer, err := theirs.reduce(1, 2) // one save, one load
		if err != nil {
			return err
		}
		for i := range t {
			ours[i] = append(ours[i], t[i])
			peer[i] = append(peer[i], answer[min(i, 1)]/1000)
		}
		state.Step++
	}
	for i := range ours {
		report(lines[i].Against(row.Median(ours[i]), row.Median(peer[i])))
	}
	theirs.stop()
	if err := stallOfTrain(ctx, b, state, row.Median(ours[0]), lines[3:5], report); err != nil {
		return err
	}
	return comparePackage(ctx, b, lines[5:], report)
}

// saveAndLoad gives the seconds of a save, of a load, and of a load with the checksum compared.
func saveAndLoad(dir *checkpoint.Dir, state checkpoint.State) (times [3]float64, err error) {
	begin := time.Now()
	found, err := dir.Save(state)
	if err != nil {
		return times, err
	}
	times[0] = time.Since(begin).Seconds()
	begin = time.Now()
	loaded, err := checkpoint.Load(found)
	if err != nil {
		return times, err
	}
	times[1] = time.Since(begin).Seconds()
	last := loaded.Params[tensorCount-1]
	if at := len(last.Data) - 1; last.Data[at] != state.Params[tensorCount-1].Data[at] {
		return times, fmt.Errorf("the last value of %s is %v", strings.TrimPrefix(found.Path, os.TempDir()), last.Data[at])
	}
	begin = time.Now()
	if found, _, err = dir.Latest(); err != nil {
		return times, err
	}
	if _, err = checkpoint.Load(found); err != nil {
		return times, err
	}
	times[2] = time.Since(begin).Seconds()
	return times, nil
}
