package sched

import "ainexus.io/nexus"

// form is a shape that some jobs have, and what one cycle found out about it: in a cycle capacity only shrinks and
// equals keep their order, so a thousand jobs of one form are tried once.
type form struct {
	shape shape
	spec  nexus.Spec // of one of its jobs
	jobs  int        // how many have it

	said    *nexus.Reason // what its jobs were last told
	fleet   nexus.Reason  // what no waiting helps against; Code is empty if nothing
	fleetAt uint64        // the planner's facts when that was found out

	// What follows is of one cycle.
	cycle    uint64
	full     *entry        // the first that found no seats
	barren   priorities    // those with which nobody can be evicted for it
	saved    bool          // it would open an idle device for a part of it
	stuck    bool          // nobody can be moved for it
	tired    bool          // nobody's turn is over for its jobs that have not run yet
	worn     worn          // nor for those that have
	hopeless int           // 1 + how many jobs had been lifted when a claim was not to be had
	odd      bool          // some of its jobs have a story of their own: none may be passed over
	short    *nexus.Reason // what is short now
}

// priorities is a set of priorities.
type priorities uint8

func (s priorities) has(p nexus.Priority) bool { return s&(1<<(p-nexus.Low)) != 0 }

func (s *priorities) add(p nexus.Priority) { *s |= 1 << (p - nexus.Low) }

// formOf finds or makes the form of a job and counts the job in.
func (p *Planner) formOf(s *nexus.Spec) *form {
	sh := shapeOf(s)
	f := p.forms[sh]
	if f == nil {
		f = &form{shape: sh, spec: *s}
		p.forms[sh] = f
	}
	f.jobs++
	return f
}

// leave counts a job out.
func (p *Planner) leave(f *form) {
	if f.jobs--; f.jobs == 0 {
		delete(p.forms, f.shape)
	}
}

// narrowTo lets a job be placed with less than it asks for; widen takes that back.
func (p *Planner) narrowTo(e *entry, ask *nexus.Job) {
	p.widen(e)
	e.ask, e.as = ask, p.formOf(&ask.Spec)
}

func (p *Planner) widen(e *entry) {
	if e.as != e.form {
		p.leave(e.as)
	}
	e.ask, e.as = nil, e.form
}

// in makes sure that the notes on a form are of this cycle.
func (c *cycle) in(f *form) *form {
	if f.cycle != c.number {
		f.cycle, f.full, f.barren, f.saved, f.stuck, f.tired, f.worn, f.hopeless, f.odd, f.short = c.number, nil, 0, false, false, false, worn{}, 0, false, nil
	}
	return f
}

// passed reports whether all there is to try for a job was tried for one like it.
func (c *cycle) passed(s *spot) bool {
	f := c.in(s.form)
	return s.plain && !f.odd && f.full != nil && f.barren.has(s.priority) && (f.tired || !c.anySlicing()) &&
		(len(c.claims) >= c.policy.Heads() || f.hopeless == len(c.lifted)+1)
}
