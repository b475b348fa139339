package sched

import "ainexus.io/nexus"

// waitsFor is what a job itself waits for, whatever is free: to be released, for other jobs, for its turn in its
// array. Code is empty if nothing.
func (p *Planner) waitsFor(j *nexus.Job) nexus.Reason {
	if j.HeldBy != "" {
		return nexus.Reason{Code: nexus.WaitHeld, User: j.HeldBy}
	}
	if r := awaited(j.After); r.Code != "" {
		return r
	}
	if m := j.Member; m != nil && m.AtOnce > 0 && p.running[m.Array] >= m.AtOnce {
		return nexus.Reason{Code: nexus.WaitArray, Need: int64(m.AtOnce), Have: int64(p.running[m.Array])}
	}
	return nexus.Reason{}
}

// awaited names the first job that is not yet what it has to be.
func awaited(after []nexus.Dependency) nexus.Reason {
	r := nexus.Reason{Need: int64(len(after))}
	for _, d := range after {
		switch {
		case d.Met():
			r.Have++
		case r.Code == "":
			r.Code, r.Job, r.Resource = nexus.WaitAfter, d.Job, string(d.On)
		}
	}
	if r.Code == "" {
		return nexus.Reason{}
	}
	return r
}

// alone reports whether a job waits for nothing but room, which is said of nearly all.
func alone(j *nexus.Job) bool { return j.HeldBy == "" && len(j.After) == 0 && j.Member == nil }

// heldBack holds back a job that waits for something of its own.
func (c *cycle) heldBack(e *entry) bool {
	if alone(&e.job) {
		return false
	}
	r := c.waitsFor(&e.job)
	if r.Code != "" {
		c.reasons[e] = r
	}
	return r.Code != ""
}

// countMember keeps count of the members of arrays that hold seats.
func (p *Planner) countMember(j *nexus.Job, by int) {
	if j.Member == nil || j.Member.AtOnce == 0 || !j.Phase.Live() {
		return
	}
	if p.running[j.Member.Array] += by; p.running[j.Member.Array] == 0 {
		delete(p.running, j.Member.Array)
	}
}
