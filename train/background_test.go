package train

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ainexus.io/train/checkpoint"
)

// latest loads the newest checkpoint of a directory.
func latest(t *testing.T, dir string) checkpoint.State {
	t.Helper()
	found, _, err := checkpoint.At(dir, checkpoint.Options{}).Latest()
	if err != nil {
		t.Fatal(err)
	}
	state, err := checkpoint.Load(found)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// A save in the background holds what was there when it was begun, whatever happens to the parameters after Sync; the end of the run waits for it;
// however many there are, they use one copy.
func TestASaveInTheBackgroundHoldsWhatWasThere(t *testing.T) {
	dir := t.TempDir()
	fine(t, world(t, 2, Options{Checkpoints: dir, Keep: 2}, func(tr *Trainer) error {
		big := &Param{Name: "w", Data: make([]float32, 1<<20)}
		ddp, err := tr.Wrap([]*Param{big}, NewSGD([]*Param{big}, 0.1, 0.9))
		if err != nil {
			return err
		}
		var rooms []*float32
		for step := range 5 {
			for i := range big.Data {
				big.Data[i] = float32(step)
			}
			if err := tr.SaveInBackground(); err != nil {
				return err
			}
			if err := ddp.Sync(); err != nil {
				return err
			}
			for i := range big.Data { // the optimizer's step
				big.Data[i] = -1
			}
			if _, err := tr.Step(Report{}); err != nil {
				return err
			}
			if tr.IsMain() {
				rooms = append(rooms, &tr.saves.copy[0].Data[0])
			}
		}
		if len(slices.Compact(rooms)) > 1 {
			return errors.New("a save took memory of its own")
		}
		return nil
	}))
	state := latest(t, dir)
	if state.Step != 4 || slices.ContainsFunc(state.Params[0].Data, func(v float32) bool { return v != 4 }) {
		t.Errorf("step %d holds %v, ...", state.Step, state.Params[0].Data[:4])
	}
}

// How a save in the background went is told on all ranks: by the next one, which is then not begun, by WaitForSave, by the end of the run. A
// save at a stop does not mind.
func TestAFailedSaveInTheBackgroundIsTold(t *testing.T) {
	for _, test := range []struct {
		name string
		next func(*Trainer) error
	}{
		{"next save", (*Trainer).SaveInBackground},
		{"waiting", (*Trainer).WaitForSave},
		{"end of the run", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "ckpt")
			errs := world(t, 2, Options{Checkpoints: dir}, func(tr *Trainer) error {
				if _, err := tr.Wrap(newModel(1).params(), nil); err != nil {
					return err
				}
				if _, err := tr.Save(); err != nil {
					return err
				}
				if err := tr.Barrier(0); err != nil {
					return err
				}
				if tr.IsMain() { // the disk goes away
					if err := errors.Join(os.Rename(dir, dir+".gone"), os.WriteFile(dir, nil, 0o644)); err != nil {
						return err
					}
				}
				if err := tr.SaveInBackground(); err != nil {
					return fmt.Errorf("at once: %w", err)
				}
				if test.next == nil {
					return nil
				}
				if err := test.next(tr); err == nil || !strings.Contains(err.Error(), "in the background: saving the checkpoint of step 0") {
					return fmt.Errorf("told: %v", err)
				}
				if tr.IsMain() { // it comes back
					if err := errors.Join(os.Remove(dir), os.Rename(dir+".gone", dir)); err != nil {
						return err
					}
				}
				if err := tr.WaitForSave(); err != nil {
					return fmt.Errorf("told twice: %w", err)
				}
				return tr.SaveAndAck()
			})
			if test.next != nil {
				fine(t, errs)
				return
			}
			if errs[0] == nil || !strings.Contains(errs[0].Error(), "in the background: saving the checkpoint of step 0") {
				t.Errorf("rank 0 ended with %v", errs[0])
			}
		})
	}
}
