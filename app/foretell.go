package app

import "time"

const (
	// foretellEvery is how often it is looked where those stand in line who wait.
	foretellEvery = 5 * time.Second
	// foretellPart is which part of one processor that may take: it costs a plan from scratch.
	foretellPart = 50
	// foretellMost is how long nobody looks at most, however long that takes on a machine that is busy with other things.
	foretellMost = 2 * time.Minute
)

// foretell has the place know where those stand in line who wait, and when they are expected to start, until the controller
// stops. What of that is worth a write is the place's business.
func (c *Controller) foretell() {
	for pause := foretellEvery; ; {
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-c.life.ctx.Done():
			timer.Stop()
			return
		}
		began := time.Now()
		if line, at, err := c.engine.Line(c.life.ctx); err == nil { // else it has not looked yet, or ends
			c.place.Foretell(line, at)
		}
		pause = min(max(foretellEvery, foretellPart*time.Since(began)), foretellMost)
	}
}
