package train

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"ainexus.io/train/checkpoint"
	"ainexus.io/train/collective"
)

// Resume loads the latest valid checkpoint of Options.Checkpoints into the wrapped parameters, the optimizer and the
// random numbers, and returns its position; without a checkpoint, the zero Position. Checkpoints that are damaged are
// passed over, with a warning. All ranks call it. Only rank 0 reads; the others need not see its disk. The
// checkpoint may come from any number of ranks: with another number, each rank's random numbers begin anew.
func (t *Trainer) Resume() (Position, error) {
	if err := t.idle(); err != nil {
		return Position{}, err
	}
	if t.ddp == nil {
		return Position{}, errors.New("there is nothing to load a checkpoint into: call Wrap first")
	}
	data, err := shared(t, func() ([]byte, error) { return t.readLatest() })
	if err != nil {
		return Position{}, fmt.Errorf("resuming: %w", err)
	}
	if len(data) == 0 {
		return Position{}, nil
	}
	state, err := checkpoint.Decode(bytes.NewReader(data))
	if err == nil {
		err = t.restore(state)
	}
	if err != nil {
		return Position{}, fmt.Errorf("resuming: %w", err)
	}
	return t.at, nil
}

// readLatest is rank 0's part of Resume.
func (t *Trainer) readLatest() ([]byte, error) {
	if err := t.saves.wait(); err != nil {
		t.log.Warn("a save failed", "err", err)
	}
	dir, err := t.claimed()
	if err != nil {
		return nil, err
	}
	found, skipped, err := dir.Latest()
	for _, s := range skipped {
		t.log.Warn("checkpoint is not valid, passed over", "path", s.Path, "err", s.Err)
	}
	if errors.Is(err, checkpoint.ErrNone) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	m := found.Manifest
	t.log.Info("resuming", "path", found.Path, "step", m.Step, "saved_by_ranks", m.WorldSize)
	return os.ReadFile(found.Path)
}

// restore fills everything from a state. Nothing is touched unless all of it fits.
func (t *Trainer) restore(state checkpoint.State) error {
	params := tensors(t.params)
	if err := fits("parameter", params, state.Params); err != nil {
		return err
	}
	var optimizer []checkpoint.Tensor
	if t.optimizer != nil {
		optimizer = t.optimizer.State()
		if err := fits("optimizer row", optimizer, state.Optimizer); err != nil {
			return err
		}
	}
	if state.WorldSize == t.env.WorldSize && len(state.RNG) == t.env.WorldSize {
		if err := t.source.UnmarshalBinary(state.RNG[t.env.Rank]); err != nil {
			return fmt.Errorf("restoring the random numbers: %w", err)
		}
	} else {
		t.source.Seed(t.opts.Seed+uint64(state.Step), uint64(t.env.Rank))
	}
	pour(params, state.Params)
	pour(optimizer, state.Optimizer)
	t.at = Position{Step: state.Step, Epoch: state.Epoch, Offset: state.Offset}
	return nil
}

func fits(what string, into, from []checkpoint.Tensor) error {
	if len(into) != len(from) {
		return fmt.Errorf("the checkpoint has %d %ss, the program %d", len(from), what, len(into))
	}
	for i, tensor := range into {
		if saved := from[i]; saved.Name != tensor.Name || len(saved.Data) != len(tensor.Data) {
			return fmt.Errorf("%s %d is %q with %d values in the checkpoint, %q with %d in the program",
				what, i, saved.Name, len(saved.Data), tensor.Name, len(tensor.Data))
		}
	}
	return nil
}

func pour(into, from []checkpoint.Tensor) {
	for i := range into {
		copy(into[i].Data, from[i].Data)
	}
}

func tensors(params []*Param) []checkpoint.Tensor {
	list := make([]checkpoint.Tensor, len(params))
	for i, p := range params {
		list[i] = checkpoint.Tensor{Name: p.Name, Data: p.Data}
	}
	return list
}

// Save writes a checkpoint of the last step and returns its path on every rank, or the error on every rank: rank 0
// writes. A failed save leaves the checkpoints before it as they are. All ranks call it.
func (t *Trainer) Save() (path string, err error) {
	if err := t.idle(); err != nil {
		return "", err
	}
	if t.ddp == nil {
		return "", errors.New("there is nothing to save: call Wrap first")
	}
	defer t.pace.apart()()
	rng, err := t.gatherRNG()
	if err != nil {
		return "", err
	}
	data, err := shared(t, func() ([]byte, error) {
		if err := t.saves.wait(); err != nil {
			t.log.Warn("the save before this one failed", "err", err) // this one may do better
		}
		dir, err := t.claimed()
		if err != nil {
			return nil, err
		}
		found, err := dir.Save(t.state(rng))
		return []byte(found.Path), err
	})
	return string(data), err
}

func (t *Trainer) state(rng [][]byte) checkpoint.State {
	s := checkpoint.State{
		Step: t.at.Step, Epoch: t.at.Epoch, Offset: t.at.Offset, WorldSize: t.env.WorldSize, Seed: t.opts.Seed,
		RNG: rng, Params: tensors(t.params),
	}
	if t.optimizer != nil {
		s.Optimizer = t.optimizer.State()
	}
	return s
}

// gatherRNG collects all ranks' random states, which are equally long.
func (t *Trainer) gatherRNG() ([][]byte, error) {
	mine, err := t.source.MarshalBinary()
	if err != nil {
		return nil, err
	}
	all := make([]byte, len(mine)*t.env.WorldSize)
	if err := collective.AllGather(t.group, all, mine); err != nil {
		return nil, err
	}
	list := make([][]byte, t.env.WorldSize)
	for rank := range list {
		list[rank] = all[rank*len(mine) : (rank+1)*len(mine)]
	}
	return list, nil
}

// claimed returns the directory, which rank 0 claims the first time.
func (t *Trainer) claimed() (*checkpoint.Dir, error) {
	if t.opts.Checkpoints == "" {
		return nil, errors.New("Options.Checkpoints names no directory")
	}
	if t.dir != nil {
		return t.dir, nil
	}
	path, err := filepath.Abs(t.opts.Checkpoints)
	if err != nil {
		return nil, err
	}
	dir := checkpoint.At(path, checkpoint.Options{Keep: t.opts.Keep, Writer: checkpoint.Writer{
		Job: t.env.Job, Epoch: checkpoint.Epoch{Attempt: t.env.Attempt, Round: t.env.Round},
	}})
	if err := dir.Claim(); err != nil {
		return nil, err
	}
	t.dir = dir
	return dir, nil
}

// SaveAndAck saves and, if the launcher asked for a stop, acknowledges it: rank 0 writes $NEXUS_ACK_FILE. It is what a
// script does when Step says stop. All ranks call it.
func (t *Trainer) SaveAndAck() error {
	path, err := t.Save()
	if err != nil {
		return err
	}
	_, err = shared(t, func() ([]byte, error) {
		t.log.Info("checkpoint saved", "path", path, "step", t.at.Step)
		if t.env.AckFile == "" {
			return nil, nil
		}
		type ack struct {
			Attempt string `json:"attempt"`
			Step    int64  `json:"step"`
			Path    string `json:"path"`
		}
		err := replaceJSON(t.env.AckFile, ack{t.env.AttemptName, t.at.Step, path}, true)
		if err != nil {
			err = fmt.Errorf("acknowledging the stop: %w", err)
		}
		return nil, err
	})
	return err
}

// shared runs f on rank 0 and gives its result, or its error, to all ranks.
func shared(t *Trainer, f func() ([]byte, error)) ([]byte, error) {
	var data []byte
	var failed error
	head := make([]byte, 9) // did it fail, how long is what follows
	if t.IsMain() {
		if data, failed = f(); failed != nil {
			head[0], data = 1, []byte(failed.Error())
		}
		binary.LittleEndian.PutUint64(head[1:], uint64(len(data)))
	}
	if err := collective.Broadcast(t.group, head, 0); err != nil {
		return nil, errors.Join(failed, err)
	}
	if !t.IsMain() {
		data = make([]byte, binary.LittleEndian.Uint64(head[1:]))
	}
	if err := collective.Broadcast(t.group, data, 0); err != nil {
		return nil, errors.Join(failed, err)
	}
	if failed != nil {
		return nil, failed
	}
	if head[0] != 0 {
		return nil, fmt.Errorf("rank 0: %s", data)
	}
	return data, nil
}
