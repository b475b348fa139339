package sched

import (
	"maps"
	"slices"
	"time"

	"ainexus.io/nexus"
	"ainexus.io/sched/ledger"
	"ainexus.io/sched/policy"
)

// Planner keeps what it was told, indexed, between steps. It is not safe for concurrent use.
type Planner struct {
	policy  policy.Policy
	version uint64
	at      time.Time

	jobs   map[string]*entry
	queues map[string]nexus.Queue
	line   []*entry // the waiting jobs; in order unless stirred
	// stirred says that the line has to be put in order again.
	stirred  bool
	promises map[nexus.Priority]time.Time // since when seats are kept for somebody, as the line was ordered
	live     map[string]map[string]*entry // by node, then by job
	// taken holds, by job, how it stood before a decision that has not been answered yet.
	taken map[string]nexus.Job

	now, later *ledger.Ledger

	tree  *tree
	held  account // what each queue holds
	users map[userAt]userHolds
	lines map[int][]*entry // of queues, by position, as last put in order
	use   []nexus.QueueUse

	told   map[string]nexus.Reason
	kept   map[string]nexus.Reservation // as last told
	claims []claim                      // of the last step
}

// entry is a job with what is worked out from it once.
type entry struct {
	job   nexus.Job
	shape shape
	ahead int // how many claims there were when its turn came

	queue int        // its queue's position in the tree; -1: there is none
	spent amounts    // what it counts for while it lives; nil: nothing
	ask   *nexus.Job // the job as its queue lets it be placed, where that is less than it asks for
	whole shape      // of all that it asks for; shape is of what it may have
	want  [resources]int64
}

// New returns a planner that knows nothing yet; its first delta must be a Full one.
func New(p policy.Policy) *Planner {
	planner := &Planner{policy: p}
	planner.forget()
	return planner
}

// Plan is what a fresh planner does about a snapshot.
func Plan(s nexus.Snapshot, p policy.Policy) nexus.Plan {
	_, plan := planned(s, p)
	return plan
}

// planned is a fresh planner that was told a snapshot, and its plan.
func planned(s nexus.Snapshot, p policy.Policy) (*Planner, nexus.Plan) {
	planner := New(p)
	planner.observe(everything(s), s.At)
	for _, r := range s.Reserve {
		planner.kept[r.Job] = r
	}
	return planner, planner.Step(nexus.Delta{Version: s.Version}, s.At)
}

// everything is a snapshot as a delta.
func everything(s nexus.Snapshot) nexus.Delta {
	return nexus.Delta{Version: s.Version, Full: true, Jobs: s.Jobs, Nodes: s.Nodes, Queues: s.Queues, Use: s.Use}
}

// Step takes in what changed and says what to do about it: only what changed since the last plan. A
// decision counts as taken until a delta names its job, or until [Planner.Drop].
//
// The passes are repeated until they find nothing more to do, so that a plan which was carried out leaves
// nothing to do. Each round starts or evicts somebody, or takes back what turned out wrong and bars it from
// being tried again; so there is an end to it.
func (p *Planner) Step(d nexus.Delta, at time.Time) nexus.Plan {
	p.observe(d, at)
	plan, kept := nexus.Plan{Version: p.version, At: p.at}, p.kept
	bars := newBars()
	for {
		c := newCycle(p, bars)
		for _, e := range c.order() {
			switch {
			case c.notYet(e):
			case c.admit(e):
			case c.place(e):
				c.placedToo(e.job.ID)
			case c.yield(e):
			case c.reclaim(e):
			case c.claim(e):
			}
		}
		still := len(c.placed)+len(c.evicted)+len(c.undone) == 0 && !c.undoVain(&plan)
		if again := c.reserve(); still && !again {
			plan.Hold, plan.Wake = c.hold(), c.wake
			c.close(&plan)
			plan.Reserve = changed(kept, p.kept)
			return plan
		}
		c.close(&plan)
	}
}

// Drop says that decisions about these jobs were not carried out.
func (p *Planner) Drop(jobs ...string) {
	for _, id := range jobs {
		if before, ok := p.taken[id]; ok {
			p.set(before)
		}
	}
}

// Refuse says that nothing of a plan was carried out or told: what it said is said again.
func (p *Planner) Refuse(plan nexus.Plan) {
	for _, d := range plan.Place {
		p.Drop(d.Job)
	}
	for _, d := range plan.Evict {
		p.Drop(d.Job)
	}
	for _, h := range plan.Hold {
		delete(p.told, h.Job)
	}
	for _, r := range plan.Reserve {
		p.kept[r.Job] = nexus.Reservation{Job: r.Job, Since: r.Since} // neither kept nor gone: both are news again
	}
}

// Snapshot is all that the planner was told, its decisions counted as carried out, in order of name and
// id. Its jobs share memory with the planner's: read only.
func (p *Planner) Snapshot() nexus.Snapshot {
	s := nexus.Snapshot{Version: p.version, At: p.at}
	for _, name := range p.now.Names() {
		s.Nodes = append(s.Nodes, *p.now.Node(name))
	}
	for _, id := range slices.Sorted(maps.Keys(p.jobs)) {
		s.Jobs = append(s.Jobs, p.jobs[id].job)
	}
	for _, name := range slices.Sorted(maps.Keys(p.queues)) {
		s.Queues = append(s.Queues, p.queues[name])
	}
	for _, id := range slices.Sorted(maps.Keys(p.kept)) {
		s.Reserve = append(s.Reserve, p.kept[id])
	}
	s.Use = p.use
	return s
}

// Waiting is how many jobs wait.
func (p *Planner) Waiting() int {
	n := 0
	for _, e := range p.line {
		if p.waits(e) {
			n++
		}
	}
	return n
}

// observe brings the indexes up to date.
func (p *Planner) observe(d nexus.Delta, at time.Time) {
	if d.Full {
		p.forget()
	}
	p.version = d.Version
	if at.After(p.at) {
		p.at = at
	}
	for _, n := range d.Nodes {
		p.now.SetNode(n)
		p.later.SetNode(n)
		p.recount(n.Name)
	}
	for _, name := range d.GoneNodes {
		p.now.DropNode(name)
		p.later.DropNode(name)
		p.recount(name)
	}
	for _, j := range d.Jobs {
		p.set(j)
	}
	for _, id := range d.GoneJobs {
		p.remove(id)
		delete(p.told, id)
	}
	if d.Full || d.Queues != nil {
		clear(p.queues)
		for _, q := range d.Queues {
			p.queues[q.Name] = q
		}
		p.plant()
	}
	if d.Full || d.Use != nil {
		p.use = d.Use
	}
}

func (p *Planner) forget() {
	p.jobs, p.queues = map[string]*entry{}, map[string]nexus.Queue{}
	p.live, p.taken = map[string]map[string]*entry{}, map[string]nexus.Job{}
	p.line, p.stirred, p.claims = nil, false, nil
	p.now, p.later = ledger.New(), ledger.New()
	p.told, p.kept = map[string]nexus.Reason{}, map[string]nexus.Reservation{}
	p.use = nil
	p.plant()
}

// set replaces a job by how it stands, which answers any decision about it.
func (p *Planner) set(j nexus.Job) {
	p.remove(j.ID)
	if j.Phase.Over() {
		delete(p.told, j.ID)
		return
	}
	e := &entry{job: j, shape: shapeOf(&j.Spec), want: wants(&j.Spec)}
	e.whole = e.shape
	p.jobs[j.ID] = e
	p.spend(e)
	switch {
	case j.Phase == nexus.Pending:
		p.line = append(p.line, e)
		p.stirred = true
	case j.Placement != nil:
		p.now.Charge(j.ID, j.Placement.Seats)
		p.later.Charge(j.ID, j.Placement.Seats)
		for _, s := range j.Placement.Seats {
			if p.live[s.Node] == nil {
				p.live[s.Node] = map[string]*entry{}
			}
			p.live[s.Node][j.ID] = e
		}
	}
}

func (p *Planner) remove(id string) {
	delete(p.taken, id)
	e := p.jobs[id]
	if e == nil {
		return
	}
	delete(p.jobs, id)
	p.refund(e)
	p.stirred = p.stirred || e.job.Phase == nexus.Pending
	if e.job.Placement == nil {
		return
	}
	p.now.Release(id)
	p.later.Release(id)
	for _, s := range e.job.Placement.Seats {
		delete(p.live[s.Node], id)
		if len(p.live[s.Node]) == 0 {
			delete(p.live, s.Node)
		}
	}
}

// take counts a decision as carried out: after is how the job will then stand.
func (p *Planner) take(e *entry, after nexus.Job) {
	before := e.job
	p.set(after)
	p.taken[before.ID] = before
}

// waits reports whether the entry is (still) a waiting job.
func (p *Planner) waits(e *entry) bool {
	return e.job.Phase == nexus.Pending && p.jobs[e.job.ID] == e
}
