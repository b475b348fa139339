package train

import "time"

// pace measures how long this rank works before it waits for the others. All ranks of a step take equally long; this is what
// tells the launcher who keeps the others waiting.
type pace struct {
	since time.Time     // the last waiting ended; zero: there was none
	own   time.Duration // in this step, before its waitings
}

// waiting is called when a waiting for all ranks begins, and what it returns when it is over.
func (p *pace) waiting() (over func()) {
	if !p.since.IsZero() {
		p.own += time.Since(p.since)
	}
	return func() { p.since = time.Now() }
}

// apart keeps what lies between it and its return out: another collective, or a save.
func (p *pace) apart() (over func()) {
	begun := time.Now()
	return func() {
		if !p.since.IsZero() {
			p.since = p.since.Add(time.Since(begun))
		}
	}
}

// step is the own time of the step that has just ended; 0 where it is not known.
func (p *pace) step() (own time.Duration) {
	own, p.own = p.own, 0
	return own
}
