package train

import (
	"testing"
	"testing/synctest"
	"time"
)

// A rank's own time is what lies between two waitings, without what lies apart.
func TestOwnTimeIsBetweenTheWaitings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pace
		step := func(own, apart, waiting time.Duration) time.Duration {
			time.Sleep(own)
			func() {
				defer p.apart()()
				time.Sleep(apart)
			}()
			over := p.waiting()
			time.Sleep(waiting)
			over()
			return p.step()
		}
		if own := step(time.Second, 0, time.Second); own != 0 {
			t.Errorf("of the first step, which began at an unknown time, %s", own)
		}
		if own := step(2*time.Second, 5*time.Second, 7*time.Second); own != 2*time.Second {
			t.Errorf("own time %s", own)
		}
		if own := p.step(); own != 0 {
			t.Errorf("a step without a waiting has %s", own)
		}
	})
}

// Two ranks take equally long for their steps; what each measures tells who the slow one is.
func TestTheSlowRankMeasuresIt(t *testing.T) {
	own := make([]time.Duration, 2)
	fine(t, world(t, 2, Options{}, func(tr *Trainer) error {
		m := newModel(1)
		ddp, err := tr.Wrap(m.params(), nil)
		for range 6 {
			if err != nil {
				return err
			}
			if tr.Rank() == 1 {
				time.Sleep(40 * time.Millisecond) // its work
			}
			err = ddp.Sync()
			own[tr.Rank()] += tr.pace.step()
		}
		return err
	}))
	if own[1] < 5*40*time.Millisecond || own[0] > own[1]/2 {
		t.Errorf("rank 0 worked for %s, rank 1 for %s", own[0], own[1])
	}
}
