package sched

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"ainexus.io/nexus"
	"ainexus.io/sched/ledger"
	"ainexus.io/sched/policy"
)

// Planner keeps what it was told, indexed, between steps. It is not safe for concurrent use.
type Planner struct {
	policy policy.Policy
	// explains says that dates are wanted also where they decide nothing.
	explains bool
	version  uint64
	at       time.Time

	jobs    map[string]*entry
	forms   map[shape]*form
	queues  map[string]nexus.Queue
	line    line
	holders []*entry                     // those for whom seats are kept, as the line was ordered
	turns   []spot                       // the line as it was walked last
	waiting int                          // how many jobs wait
	live    map[string]map[string]*entry // by node, then by job
	ranks   [4]int                       // how many live jobs there are of each priority
	spared  int                          // how many live jobs were preempted so often that they are left alone
	leaving map[string]*entry            // live jobs that were asked to stop, by id
	elastic map[string]*entry            // live jobs that may have more or fewer nodes, by id
	running map[string]int               // the members that hold seats, counted by array
	// taken holds, by job, how it stood before a decision that has not been answered yet.
	taken map[string]nexus.Job

	now, later *ledger.Ledger
	index      *index // of now
	number     uint64 // of the cycle
	facts      uint64 // counts changes of what the nodes are, whatever runs on them

	tree    *tree
	held    account // what each queue holds
	users   map[userAt]userHolds
	lines   map[int][]*entry // of queues, by position, as put in order when the line was of version linesAt
	linesAt uint64
	use     []nexus.QueueUse

	history *nexus.History
	outlook *policy.Outlook // of the history
	backlog int64           // GPU-seconds that those who wait are expected to take
	gpus    int             // of the fleet, when its facts were gpusAt
	ready   int             // of these, those of Ready nodes
	gpusAt  uint64

	standings standings // where the policy ranks anew

	kept   map[string]nexus.Reservation // as last told
	moved  int                          // jobs, to make room for others
	claims []claim                      // of the last step
}

// entry is a job with what is worked out from it once.
type entry struct {
	job    nexus.Job
	form   *form
	key    time.Duration // its place in line, within its priority: less goes first
	work   int64         // GPU-seconds that it is expected to take, while it waits
	holds  bool          // seats are kept for it
	gone   bool          // it was replaced by how it stands now, or is over
	spared bool          // it lives and was preempted so often that it is left alone
	told   nexus.Reason  // while it waits; Code is empty before the first
	ahead  int           // how many claims there were when its turn came

	whole   time.Duration // how long it will run in total, where the policy is an oracle
	slots   []int         // where its seats are, when the fleet was slotsAt
	slotsAt uint64
	passed  bool // it runs and has to go, as was just found out

	queue int        // its queue's position in the tree; -1: there is none
	spent amounts    // what it counts for while it lives; nil: nothing
	ask   *nexus.Job // the job as its queue lets it be placed, where that is less than it asks for
	as    *form      // the form of what it may have; form is of all that it asks for
	want  [resources]int64
}

// asked is the job as its queue lets it be placed.
func (e *entry) asked() *nexus.Job {
	if e.ask != nil {
		return e.ask
	}
	return &e.job
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
func planned(s nexus.Snapshot, p policy.Policy) (*Planner, nexus.Plan) { return New(p).plan(s) }

// plan is what a fresh planner does about a snapshot.
func (p *Planner) plan(s nexus.Snapshot) (*Planner, nexus.Plan) {
	p.observe(everything(s), s.At)
	return p, p.Step(nexus.Delta{Version: s.Version}, s.At)
}

// everything is a snapshot as a delta.
func everything(s nexus.Snapshot) nexus.Delta {
	return nexus.Delta{Version: s.Version, Full: true, Jobs: s.Jobs, Nodes: s.Nodes, Queues: s.Queues, Use: s.Use, Reserve: s.Reserve, History: s.History}
}

// Step takes in what changed and says what to do about it: only what changed since the last plan. A
// decision counts as taken until a delta names its job, or until [Planner.Drop].
//
// The passes are repeated until they find nothing more to do, so that a plan which was carried out leaves
// nothing to do. Each round starts or evicts somebody, or takes back what turned out wrong and bars it from
// being tried again; so there is an end to it.
func (p *Planner) Step(d nexus.Delta, at time.Time) nexus.Plan {
	p.observe(d, at)
	p.settle()
	plan, kept := nexus.Plan{Version: p.version, At: p.at}, p.kept
	bars, reranked := newBars(), p.rerank()
	for {
		c := newCycle(p, bars)
		c.comeBack()
		line := c.order()
		for i := range line {
			if len(c.grows) > 0 {
				c.keepMore(line[i].priority)
			}
			if c.passed(&line[i]) {
				continue
			}
			if c.policy.Strict && c.stuck != nil {
				break // nobody passes
			}
			e := line[i].entry
			switch {
			case c.notYet(e), c.admit(e), c.place(e), c.shrink(e), c.yield(e), c.turn(e), c.reclaim(e), c.move(e), c.ripen(e, c.roomByAny):
				line[i].alone = c.number
			case (i+1 < len(line) || p.explains || len(p.elastic) > 0) && c.claim(e): // a claim of the last stands in nobody's way
				line[i].alone = c.number
			default:
				c.stuck = cmp.Or(c.stuck, e)
			}
		}
		c.keepMore(nexus.Low)
		still := len(c.placed)+len(c.evicted)+len(c.undone) == 0 && !c.undoVain(&plan)
		if again := c.reserve(); still && !again && !c.bars.lift() && !c.grow() {
			plan.Hold, plan.Wake = c.hold(), c.wake
			c.close(&plan)
			plan.Reserve = changed(kept, p.kept)
			plan.Evict = append(plan.Evict, reranked...)
			plan.Wake = p.crossing(plan.Wake)
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
		if e := p.jobs[h.Job]; e != nil {
			e.told = nexus.Reason{}
		}
	}
	for i := range p.line.spots {
		p.line.spots[i].told = nil
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
	s.Use, s.History = p.use, p.history
	return s
}

// Waiting is how many jobs wait.
func (p *Planner) Waiting() int { return p.waiting }

// observe brings the indexes up to date.
func (p *Planner) observe(d nexus.Delta, at time.Time) {
	if d.Full {
		p.forget()
	}
	if d.History != nil {
		p.learn(d.History)
	}
	p.version = d.Version
	if at.After(p.at) {
		p.at = at
	}
	for _, n := range d.Nodes {
		if before := p.now.Node(n.Name); before == nil || !sameMachine(before, &n) {
			p.facts++
		}
		if before := p.now.Node(n.Name); before == nil || !sameHardware(before, &n) {
			p.index.forgetScores()
		}
		p.now.SetNode(n)
		p.later.SetNode(n)
		p.recount(n.Name)
	}
	for _, name := range d.GoneNodes {
		p.facts++
		p.now.DropNode(name)
		p.later.DropNode(name)
		p.recount(name)
	}
	for _, j := range d.Jobs {
		p.set(j)
	}
	for _, id := range d.GoneJobs {
		p.remove(id)
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
	if d.Full {
		for _, r := range d.Reserve {
			p.kept[r.Job] = r
		}
	}
}

func (p *Planner) forget() {
	p.jobs, p.forms, p.queues = map[string]*entry{}, map[shape]*form{}, map[string]nexus.Queue{}
	p.live, p.leaving, p.taken = map[string]map[string]*entry{}, map[string]*entry{}, map[string]nexus.Job{}
	p.elastic, p.standings = map[string]*entry{}, standings{}
	p.running = map[string]int{}
	p.line, p.waiting, p.claims, p.ranks, p.spared = line{}, 0, nil, [4]int{}, 0
	p.now, p.later = ledger.New(), ledger.New()
	p.index = newIndex(p.now, p.scorer)
	p.facts++
	p.kept = map[string]nexus.Reservation{}
	p.turns, p.use, p.lines, p.linesAt = nil, nil, nil, 0
	p.history, p.outlook, p.backlog = nil, policy.Look(nil), 0
	p.plant()
}

// set replaces a job by how it stands, which answers any decision about it. It returns the new entry; nil if the job
// is over.
func (p *Planner) set(j nexus.Job) *entry {
	before := p.remove(j.ID)
	if j.Phase.Over() {
		return nil
	}
	e := &entry{job: j, form: p.formOf(&j.Spec), want: wants(&j.Spec)}
	e.as = e.form
	p.jobs[j.ID] = e
	p.spend(e)
	if before != nil {
		e.told = before.told
	}
	p.countMember(&j, 1)
	if p.policy.Rerank {
		e.whole = p.whole(&e.job)
		p.standings.comers = append(p.standings.comers, e)
	}
	switch {
	case j.Phase == nexus.Pending:
		e.key, e.work = p.keyOf(&e.job), p.outlook.Work(&e.job)
		p.backlog += e.work
		p.line.add(e)
		p.waiting++
		return e
	case j.Phase == nexus.Stopping:
		p.leaving[j.ID] = e
	}
	if j.Placement == nil {
		return e
	}
	if size := gang(&j.Spec); size.Max > size.Min && !j.Spec.Resources.GPUs.Auto {
		p.elastic[j.ID] = e
	}
	p.ranks[j.Spec.Priority-nexus.Low]++
	p.spare(e)
	p.now.Charge(j.ID, j.Placement.Seats)
	p.later.Charge(j.ID, j.Placement.Seats)
	for i := range j.Placement.Seats {
		node := j.Placement.Seats[i].Node
		if p.live[node] == nil {
			p.live[node] = map[string]*entry{}
		}
		p.live[node][j.ID] = e
	}
	return e
}

// remove forgets a job and returns what was known of it.
func (p *Planner) remove(id string) *entry {
	delete(p.taken, id)
	e := p.jobs[id]
	if e == nil {
		return nil
	}
	e.gone = true
	delete(p.jobs, id)
	delete(p.leaving, id)
	delete(p.elastic, id)
	p.widen(e)
	p.leave(e.form)
	p.refund(e)
	if e.job.Phase == nexus.Pending {
		p.line.drop(e)
		p.waiting--
		p.backlog -= e.work
	}
	p.countMember(&e.job, -1)
	if e.job.Placement == nil {
		return e
	}
	p.ranks[e.job.Spec.Priority-nexus.Low]--
	p.spared -= bit(e.spared)
	p.now.Release(id)
	p.later.Release(id)
	for i := range e.job.Placement.Seats {
		node := e.job.Placement.Seats[i].Node
		delete(p.live[node], id)
		if len(p.live[node]) == 0 {
			delete(p.live, node)
		}
	}
	return e
}

// take counts a decision as carried out: after is how the job will then stand.
func (p *Planner) take(e *entry, after nexus.Job) *entry {
	before := e.job
	e = p.set(after)
	p.taken[before.ID] = before
	return e
}

// waits reports whether the entry is (still) a waiting job.
func (p *Planner) waits(e *entry) bool {
	return e.job.Phase == nexus.Pending && !e.gone
}
