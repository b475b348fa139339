package train

import (
	"errors"
	"fmt"

	"ainexus.io/train/checkpoint"
)

// background is rank 0's saves that go on while the ranks train: at most one, of a copy whose memory is used again and again.
type background struct {
	copy   []checkpoint.Tensor // kept
	copied chan struct{}       // closed when the parameters may change; nil: nothing is copied
	done   chan struct{}       // closed when the save is over; nil: there is none
	err    error               // of the save, once done is closed
}

// SaveInBackground begins a checkpoint of the last step and returns at once: rank 0 copies and writes it while training goes on. Parameters and what the
// optimizer remembers must not change before [DDP.Sync] or [Trainer.Step] has returned, which wait for the copy: it is made while the next gradients
// are computed. There is one copy and one save at a time, so a save waits for the one before it. How that went is told, on all ranks, by the next save, [Trainer.WaitForSave]
// or the end of [Run]; where it failed, the next save is not begun. All ranks call it.
func (t *Trainer) SaveInBackground() error {
	if err := t.idle(); err != nil {
		return err
	}
	if t.ddp == nil {
		return errors.New("there is nothing to save: call Wrap first")
	}
	defer t.pace.apart()()
	rng, err := t.gatherRNG()
	if err != nil {
		return err
	}
	_, err = shared(t, func() ([]byte, error) {
		if err := t.saves.wait(); err != nil {
			return nil, err
		}
		dir, err := t.claimed()
		if err == nil {
			t.saves.begin(dir, t.state(rng))
		}
		return nil, err
	})
	return err
}

// WaitForSave waits for a save in the background, and fails on all ranks if it did. All ranks call it.
func (t *Trainer) WaitForSave() error {
	if err := t.idle(); err != nil {
		return err
	}
	defer t.pace.apart()()
	_, err := shared(t, func() ([]byte, error) { return nil, t.saves.wait() })
	return err
}

// Saving says whether a save in the background is still under way, on rank 0, which alone knows: another one would wait for it.
func (t *Trainer) Saving() bool {
	select {
	case <-t.saves.done:
		return false
	default:
		return t.saves.done != nil
	}
}

// begin copies and saves. No save is under way.
func (b *background) begin(dir *checkpoint.Dir, state checkpoint.State) {
	b.copied, b.done = make(chan struct{}), make(chan struct{})
	go func() {
		defer close(b.done)
		state := b.take(state)
		close(b.copied)
		if _, err := dir.Save(state); err != nil {
			b.err = fmt.Errorf("in the background: %w", err)
		}
	}()
}

// take copies a state into memory that is kept.
func (b *background) take(state checkpoint.State) checkpoint.State {
	at := 0
	into := func(list []checkpoint.Tensor) []checkpoint.Tensor {
		copies := make([]checkpoint.Tensor, len(list))
		for i, tensor := range list {
			if at == len(b.copy) {
				b.copy = append(b.copy, checkpoint.Tensor{})
			}
			if cap(b.copy[at].Data) < len(tensor.Data) {
				b.copy[at].Data = make([]float32, len(tensor.Data))
			}
			copies[i] = checkpoint.Tensor{Name: tensor.Name, Data: b.copy[at].Data[:len(tensor.Data)]}
			copy(copies[i].Data, tensor.Data)
			at++
		}
		return copies
	}
	state.Params, state.Optimizer = into(state.Params), into(state.Optimizer)
	return state
}

// taken waits until the copy is made.
func (b *background) taken() {
	if b.copied != nil {
		<-b.copied
		b.copied = nil
	}
}

// wait waits until no save is under way, and says once how the last one went.
func (b *background) wait() error {
	if b.done == nil {
		return nil
	}
	b.taken()
	<-b.done
	err := b.err
	b.done, b.err = nil, nil
	return err
}
