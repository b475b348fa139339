package sched

import "ainexus.io/nexus"

// waitsFor is what a job itself waits for, whatever is free: to be released. Code is empty if nothing.
func (p *Planner) waitsFor(j *nexus.Job) nexus.Reason {
	if j.HeldBy != "" {
		return nexus.Reason{Code: nexus.WaitHeld, User: j.HeldBy}
	}
	return nexus.Reason{}
}

// heldBack holds back a job that waits for something of its own.
func (c *cycle) heldBack(e *entry) bool {
	r := c.waitsFor(&e.job)
	if r.Code != "" {
		c.reasons[e] = r
	}
	return r.Code != ""
}
