package app

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand"
	"slices"
	"time"

	"ainexus.io/cluster/sim"
	"ainexus.io/cluster/sim/trace"
	"ainexus.io/nexus"
	"ainexus.io/sched/policy"
)

// Fragmentation is a run in which pods only arrive, until they ask for 1.3 times what there is.
type Fragmentation struct {
	Simulation
	Nodes []nexus.Node
	Pods  []trace.Job
	// Known has the policy told beforehand what will be asked for. Default: it has to learn.
	Known bool
	// Queue has pods that do not fit wait. Default: they are withdrawn at once and never come back.
	Queue bool
	// Moves is how many running pods may be moved, per thousand that arrive. Default: none.
	Moves int
}

// FragmentationResult is how much of the GPUs was handed out.
type FragmentationResult struct {
	Policy         string  `json:"policy"`
	Seed           int64   `json:"seed"`
	Mix            string  `json:"mix"`
	At100          float64 `json:"alloc_pct_at_100"`
	At130          float64 `json:"alloc_pct_at_130"`
	MovesPer1000   float64 `json:"moves_per_1000"`
	PlacementsPerS float64 `json:"placements_per_s"` // of the engine's own time

	Pods, Placed int           `json:"-"`
	Planning     time.Duration `json:"-"`
}

// overload is how much is asked for in the end, against what there is.
const overload = 1.3

// Run runs it. Errors are [nexus.Error], or that of ctx.
func (f Fragmentation) Run(ctx context.Context) (FragmentationResult, error) {
	pods, nodes, p, err := f.Inputs()
	if err != nil {
		return FragmentationResult{}, err
	}
	p.Thrift = f.Queue && cmp.Or(f.Policy, policy.Ours) == policy.Ours
	r := &inflation{fragmentation: f, capacity: thousandthsIn(nodes), pods: pods, tick: f.progress(len(pods))}
	r.place = sim.NewWith(time.Unix(0, 0).UTC(), sim.Options{Brisk: true, Tell: r.observe}, nodes...)
	r.place.At(r.place.Now().Add(time.Second), r.next)
	var w watcher
	if err := turn(ctx, r.place, p, &w); err != nil {
		return FragmentationResult{}, err
	}
	result := FragmentationResult{
		Policy: cmp.Or(f.Policy, policy.Ours), Seed: f.Seed, Mix: "learned", At100: r.at100.mean(), At130: r.at130.mean(),
		MovesPer1000: thousandths(1000 * float64(r.moves) / float64(len(pods))),
		Pods:         len(pods), Placed: w.placed, Planning: w.took,
	}
	if f.Known {
		result.Mix = "known"
	}
	if w.took > 0 {
		result.PlacementsPerS = math.Round(float64(w.placed) / w.took.Seconds())
	}
	return result, nil
}

// arrivals is the list of pods in the order in which they come, and the nodes, as the published simulator makes them, so
// that figures can be compared: the pods by name, shuffled; random ones dropped while they ask for too much, or copies of
// random ones added until one more would be too much; the nodes under new names in random order, which decides ties.
func arrivals(pods []trace.Job, nodes []nexus.Node, seed int64) ([]trace.Job, []nexus.Node, error) {
	random := rand.New(rand.NewSource(seed))
	random.Int() // the published simulator draws one number before
	byName := slices.SortedFunc(slices.Values(pods), func(a, b trace.Job) int { return cmp.Compare(a.ID, b.ID) })
	list := slices.Clone(byName)
	random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	asked := 0
	for _, p := range list {
		asked += thousandthsOf(p)
	}
	most := int(overload * float64(thousandthsIn(nodes)))
	if asked == 0 || most == 0 {
		return nil, nil, &nexus.Error{Code: nexus.CodeInvalid, Message: "the nodes have no GPU, or no pod asks for one", Hint: "what is measured is how much of the GPUs can be handed out"}
	}
	for asked > most {
		i := random.Intn(len(list))
		asked -= thousandthsOf(list[i])
		list = slices.Delete(list, i, i+1)
	}
	for asked < most {
		again := byName[random.Intn(len(byName))]
		if each := thousandthsOf(again) / max(1, again.GPUs); asked+each > most { // as published: of one GPU, not of all
			break
		}
		asked += thousandthsOf(again)
		list = append(list, again)
	}
	machines := slices.SortedFunc(slices.Values(nodes), func(a, b nexus.Node) int { return cmp.Compare(a.Name, b.Name) })
	for i, n := range random.Perm(len(machines)) {
		machines[i].Name = fmt.Sprintf("%04d-%s", n, machines[i].Name)
	}
	return list, machines, nil
}

// thousandthsIn is what the GPUs of nodes are together, in thousandths of one.
func thousandthsIn(nodes []nexus.Node) int {
	n := 0
	for i := range nodes {
		n += 1000 * len(nodes[i].GPUs)
	}
	return n
}

// thousandthsOf is what a pod asks for, in thousandths of a GPU.
func thousandthsOf(j trace.Job) int {
	if j.Share > 0 {
		return int(j.Share)
	}
	return 1000 * j.GPUs
}

// inflation is a run of arrivals under way.
type inflation struct {
	fragmentation Fragmentation
	place         *sim.Sim
	capacity      int // thousandths of a GPU
	pods          []trace.Job
	tick          func(int)

	arrived, asked int
	last           string // the pod that came last
	given          int    // thousandths of a GPU
	moves          int

	at100, at130 samples
}

// samples are what was handed out, in per cent, while the pods that had come asked for about as much as a figure is for.
type samples struct {
	sum   float64
	n     int
	after float64 // what was handed out when they first asked for more; on a small fleet one pod may go past the figure
}

func (s samples) mean() float64 {
	if s.n == 0 {
		return thousandths(s.after)
	}
	return thousandths(s.sum / float64(s.n))
}

// next lets the next pod come, a second after the one before.
func (r *inflation) next() {
	if r.last != "" && !r.fragmentation.Queue {
		if j, ok := r.place.Job(r.last); ok && j.Phase == nexus.Pending {
			_ = r.place.Cancel(r.last) // it is there
		}
	}
	r.sample()
	r.tick(r.arrived)
	if r.arrived == len(r.pods) {
		return
	}
	pod := r.pods[r.arrived]
	r.arrived++
	r.asked += thousandthsOf(pod)
	r.last = fmt.Sprintf("pod-%06d", r.arrived)
	r.place.SubmitAs(r.last, "", pod.Spec(0), sim.Life{Gate: "for ever", Saved: true})
	r.place.At(r.place.Now().Truncate(time.Second).Add(time.Second), r.next)
}

// observe keeps account of what is handed out.
func (r *inflation) observe(h sim.Happening) {
	switch h.Kind {
	case sim.Began:
		r.given += givenTo(h.Job)
	case sim.Ended:
		r.given -= givenTo(h.Job)
		if h.Cause == nexus.CausePreempt {
			r.moves++
		}
	}
}

// givenTo is what an attempt holds, in thousandths of a GPU.
func givenTo(j *nexus.Job) int {
	n := 0
	for _, s := range j.Placement.Seats {
		if s.Share > 0 {
			n += int(s.Share)
		} else {
			n += 1000 * len(s.GPUs)
		}
	}
	return n
}

// sample notes how much is handed out, where that is asked: as published, while the demand rounds to the figure.
func (r *inflation) sample() {
	asked, given := 100*float64(r.asked)/float64(r.capacity), 100*float64(r.given)/float64(r.capacity)
	r.at100.add(100, asked, given)
	r.at130.add(130, asked, given)
	if r.arrived == len(r.pods) && r.at130.n == 0 {
		r.at130.after = given
	}
}

func (s *samples) add(figure, asked, given float64) {
	switch {
	case math.RoundToEven(asked) == figure:
		s.sum += given
		s.n++
	case asked > figure && s.after == 0:
		s.after = given
	}
}

func thousandths(x float64) float64 { return math.Round(x*1000) / 1000 }
