package app

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"ainexus.io/cluster/sim"
	"ainexus.io/cluster/sim/score"
	"ainexus.io/cluster/sim/trace"
	"ainexus.io/nexus"
	"ainexus.io/sched"
	"ainexus.io/sched/policy"
)

// Replay is a run in which recorded jobs come when they came and run as long as they ran, on machines that are
// imagined, until all are over.
type Replay struct {
	Simulation
	Jobs []trace.Job // in the order of their submission
	// From and To bound the time in which utilisation is taken. Default: from the first submission to the last.
	From, To time.Time
	// Nodes and GPUsPerNode are how many equal machines there are. No default.
	Nodes, GPUsPerNode int
	// CPUsPerNode and MemoryPerNode make processors and memory count. Default: only GPUs do.
	CPUsPerNode   int
	MemoryPerNode nexus.MiB
	// TimeSlicing lets equals be evicted. Default: nobody is but for somebody of higher priority.
	TimeSlicing bool
	// PreemptionCost is how much longer a job takes for each interruption. No default.
	PreemptionCost time.Duration
	// CheckpointEvery is how often jobs save by themselves, which is what they have when a node is lost. Default: never.
	CheckpointEvery time.Duration
	// Queues have limits, orders and time slicing; those that jobs name beside them have none.
	Queues []nexus.Queue
	// Failures is how often each node is lost, per day on average. Default: never.
	Failures float64
}

// ReplayResult is what a run came to.
type ReplayResult struct {
	score.Figures
	Policy string `json:"-"`
	// Unfit are jobs left out because no machine could run them; FirstUnfit says why, of the first.
	Unfit      int    `json:"-"`
	FirstUnfit string `json:"-"`

	Series   []score.Point   `json:"-"`
	Took     []time.Duration `json:"-"` // of each job, from submission to end
	Cycles   int             `json:"-"`
	Planning time.Duration   `json:"-"`
}

// machines makes the nodes.
func (r Replay) machines() []nexus.Node {
	nodes := make([]nexus.Node, r.Nodes)
	for i := range nodes {
		nodes[i] = sim.Machine(fmt.Sprintf("node-%04d", i+1), r.CPUsPerNode, r.MemoryPerNode, r.GPUsPerNode, "", 80<<10)
	}
	return nodes
}

// spec is what a job of the trace asks for here. Models mean nothing on machines that are all alike.
func (r Replay) spec(j trace.Job) nexus.Spec {
	s := j.Spec(r.GPUsPerNode)
	s.Resources.GPUModel = nil
	if r.CPUsPerNode == 0 {
		s.Resources.CPU = 0
	}
	if r.MemoryPerNode == 0 {
		s.Resources.Memory = 0
	}
	s.Checkpoint = &nexus.CheckpointSpec{}
	if s.MaxDuration > 0 { // what was recorded is taken for true, also where it is a little over the limit
		s.MaxDuration = max(s.MaxDuration, nexus.Duration(j.Duration+r.PreemptionCost))
	}
	return s
}

// fits leaves out what no machine of the place could ever run, and says how many that were and why the first one.
func (r Replay) fits(nodes []nexus.Node) (fit []trace.Job, left int, why string) {
	type want struct {
		nodes  nexus.Range
		gpus   nexus.GPUCount
		share  nexus.MiB
		cpu    nexus.CPU
		memory nexus.MiB
	}
	known := map[want]*nexus.Error{}
	for _, j := range r.Jobs {
		s := r.spec(j)
		res := s.Resources
		w := want{s.Nodes, res.GPUs, res.GPUMemory, res.CPU, res.Memory}
		refusal, ok := known[w]
		if !ok {
			refusal = sched.Check(nodes, s)
			known[w] = refusal
		}
		if refusal == nil {
			fit = append(fit, j)
			continue
		}
		if left++; left == 1 {
			why = s.Name + ": " + refusal.Message
		}
	}
	return fit, left, why
}

// queuesOf are the given queues, and those that a trace names beside them, each without limits.
func queuesOf(given []nexus.Queue, jobs []trace.Job) []nexus.Queue {
	names := map[string]bool{}
	for _, j := range jobs {
		if j.Queue != "" {
			names[j.Queue] = true
		}
	}
	queues := slices.Clone(given)
	for _, q := range given {
		delete(names, q.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		queues = append(queues, nexus.Queue{Name: name})
	}
	return queues
}

// Run runs it. Errors are [nexus.Error], or that of ctx.
func (r Replay) Run(ctx context.Context) (ReplayResult, error) {
	durations := make(map[string]time.Duration, len(r.Jobs))
	for _, j := range r.Jobs {
		durations[j.ID] = j.Duration
	}
	duration := func(job string) time.Duration { return durations[job] }
	p, err := choose(r.Policy, knowledge{duration: duration, slicing: r.TimeSlicing})
	if err != nil {
		return ReplayResult{}, err
	}
	nodes := r.machines()
	jobs, unfit, why := r.fits(nodes)
	if len(jobs) == 0 {
		return ReplayResult{}, &nexus.Error{Code: nexus.CodeInvalid, Message: "there is no job to replay", Hint: cmp.Or(why, "are --from and --to within the trace?")}
	}
	from, to := r.From, r.To
	if from.IsZero() {
		from = jobs[0].Submit
	}
	if to.IsZero() {
		to = jobs[len(jobs)-1].Submit
	}
	tally := score.New(r.Nodes*r.GPUsPerNode, from, to, duration)
	run := &replay{replay: r, jobs: jobs, tally: tally, finished: make(chan struct{}), tick: r.progress(len(jobs))}
	run.place = sim.NewWith(jobs[0].Submit, sim.Options{
		Brisk: true, Queues: queuesOf(r.Queues, jobs), Failures: r.Failures, Seed: r.Seed, Tell: run.observe,
	}, nodes...)
	run.place.At(jobs[0].Submit, run.next)
	w := watcher{held: run.estimate, finished: run.finished}
	if err := turn(ctx, run.place, p, &w); err != nil {
		return ReplayResult{}, err
	}
	if left := len(jobs) - run.over; left > 0 {
		return ReplayResult{}, stranded(left, w.holds)
	}
	return ReplayResult{
		Figures: tally.Figures(), Policy: cmp.Or(r.Policy, policy.Ours), Unfit: unfit, FirstUnfit: why,
		Series: tally.Series(), Took: tally.Took(), Cycles: w.cycles, Planning: w.took,
	}, nil
}

// stranded says that jobs wait though nothing more will happen.
func stranded(left int, holds map[string]nexus.Reason) error {
	e := &nexus.Error{Code: nexus.CodeInternal, Message: fmt.Sprintf("%d jobs were never started", left)}
	for _, id := range slices.Sorted(maps.Keys(holds)) {
		e.Hint = "job " + id + ": " + holds[id].Sentence()
		break
	}
	return e
}

// replay is a replay under way.
type replay struct {
	replay   Replay
	place    *sim.Sim
	jobs     []trace.Job
	tally    *score.Tally
	finished chan struct{}
	tick     func(int)

	came, over int
}

// next submits the jobs whose time has come.
func (r *replay) next() {
	now := r.place.Now()
	for r.came < len(r.jobs) && !r.jobs[r.came].Submit.After(now) {
		j := r.jobs[r.came]
		r.came++
		r.place.SubmitAs(j.ID, j.User, r.replay.spec(j), sim.Life{Saved: r.replay.TimeSlicing || len(r.replay.Queues) > 0, Runs: j.Duration, Resume: r.replay.PreemptionCost, Every: r.replay.CheckpointEvery})
	}
	if r.came < len(r.jobs) {
		r.place.At(r.jobs[r.came].Submit, r.next)
	}
}

// observe tells the tally, and says when the last job is over.
func (r *replay) observe(h sim.Happening) {
	r.tally.Observe(h)
	if h.Kind == sim.Over {
		r.over++
		r.tick(r.over)
		if r.over == len(r.jobs) {
			close(r.finished)
		}
	}
}

// estimate notes when a job that is held is expected to start.
func (r *replay) estimate(h nexus.Hold) {
	if h.Start != nil {
		r.tally.Estimated(h.Job, h.Start.At, score.Estimate{Low: h.Start.Low, Median: h.Start.Median, High: h.Start.High})
	}
}
