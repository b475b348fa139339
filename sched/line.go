package sched

import "ainexus.io/nexus"

// Line is how everybody stands who waits, by place in line, as the last step left it: what he is told, and when he would be
// expected to start were he told that now. It plans nothing, so that it costs little where thousands wait; [Explainer.Line] knows
// more dates.
func (p *Planner) Line() []nexus.Hold {
	c, ahead := &cycle{Planner: p}, ahead{} // it decides nothing
	line := make([]nexus.Hold, 0, p.waiting)
	for i := range c.turns {
		e := c.turns[i].entry
		if !p.waits(e) {
			continue
		}
		ahead.count(e.told, c.turns[i].work)
		h := nexus.Hold{Job: e.job.ID, Reason: e.told, Place: len(line) + 1}
		if e.told.Code.InLine() {
			h.Start = within(c.foresee(&ahead, i, nexus.Reason{}), e.told.Until)
		}
		line = append(line, h)
	}
	return line
}
