package train

import (
	"math"
	"os"
	"os/signal"
	"syscall"
	"time"

	"ainexus.io/train/collective"
)

// Report is what a script tells about a step.
type Report struct {
	Loss  float64
	Epoch int // pass over the data set, from 0
	// Offset is how many samples of this pass all ranks together have used; resuming begins there.
	Offset     int
	TotalSteps int64 // 0: unknown
	Metrics    map[string]float64
}

// Position is where a run is.
type Position struct {
	Step   int64 // steps done
	Epoch  int
	Offset int
}

// Step says that a step is done. It tells the launcher of progress, and whether the run is to stop: then the script saves
// ([Trainer.SaveAndAck]) and returns. All ranks call it, and all get the same answer at the same step, although
// SIGTERM reaches them at different times. After [DDP.Sync] in the same step the question has already travelled with the
// gradients; else it costs one small all-reduce.
//
// The first Step also takes over SIGTERM, which ends the process before that: there is nothing to save yet. From then on
// SIGUSR1 writes the stacks of all goroutines.
func (t *Trainer) Step(r Report) (stop bool, err error) {
	if err := t.idle(); err != nil {
		return false, err
	}
	t.arm()
	t.at = Position{Step: t.at.Step + 1, Epoch: r.Epoch, Offset: r.Offset}
	if err := t.agree(); err != nil {
		return false, err
	}
	t.saves.taken()
	t.progress.put(t.describe(r), t.pace.step())
	return t.stopped, nil
}

// Position is where the run is: the last step, or what [Trainer.Resume] found.
func (t *Trainer) Position() Position { return t.at }

// RequestStop asks all ranks to stop at the next step, as SIGTERM does. It may be called from any goroutine.
func (t *Trainer) RequestStop() { t.stopping.Store(true) }

// agree finds out whether any rank was asked to stop.
func (t *Trainer) agree() error {
	if d := t.ddp; d != nil && d.agreed.fresh {
		d.agreed.fresh = false
		t.stopped = t.stopped || d.agreed.stop
		return nil
	}
	defer t.pace.apart()()
	flag := []float32{0}
	if t.stopping.Load() {
		flag[0] = 1
	}
	if err := collective.AllReduce(t.group, flag, collective.Max); err != nil {
		return err
	}
	t.stopped = t.stopped || flag[0] > 0
	return nil
}

// describe turns a report into what the launcher reads. JSON has no NaN, so a value that is none is left out.
func (t *Trainer) describe(r Report) progress {
	p := progress{
		Rank: t.env.Rank, Step: t.at.Step, TotalSteps: r.TotalSteps, Epoch: r.Epoch,
		Time: float64(time.Now().UnixMicro()) / 1e6,
	}
	if finite(r.Loss) {
		p.Loss = &r.Loss
	}
	for name, value := range r.Metrics {
		if finite(value) {
			if p.Metrics == nil {
				p.Metrics = make(map[string]float64, len(r.Metrics))
			}
			p.Metrics[name] = value
		}
	}
	return p
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// arm begins to listen for SIGTERM, and for SIGUSR1, by which the launcher asks a rank that hangs where it is.
func (t *Trainer) arm() {
	if t.signals != nil {
		return
	}
	t.signals = make(chan os.Signal, 2) // one of each
	signal.Notify(t.signals, append(stackSignals(), syscall.SIGTERM)...)
	listen(t.env.StackFile)
	t.watch.Go(func() {
		for got := range t.signals {
			if got != syscall.SIGTERM {
				tellStacks(t.env.StackFile)
				continue
			}
			t.log.Info("asked to stop; the ranks will agree on a step")
			t.stopping.Store(true)
		}
	})
}

// disarm gives the signals back.
func (t *Trainer) disarm() {
	if t.signals != nil {
		if t.env.StackFile != "" {
			os.Remove(t.env.StackFile) // nobody listens any more
		}
		signal.Stop(t.signals)
		close(t.signals)
	}
}
