package sched

import (
	"cmp"
	"container/heap"
	"slices"

	"ainexus.io/nexus"
	"ainexus.io/sched/policy"
)

// stream is waiting jobs in an order of their own: those of a user, of a queue, or of a cohort, which is
// the streams of its queues merged. Merging counts each job as if it were placed when its turn comes, so
// that the next turn is another's: the order is that of shares, and no clock is in it.
type stream struct {
	kids   []*stream // a heap by turn; nil for a line
	line   []*entry
	root   bool // its kids have nothing to do with one another
	queue  int
	user   string
	weight float64
	held   [resources]int64   // with the jobs whose turn has come
	past   [resources]float64 // what was held on average, decayed
	turn   turn
	merge  *merge
}

// turn is what decides between streams of a cohort, from first to last.
type turn struct {
	priority nexus.Priority
	waits    int     // 0: seats are kept for it
	beyond   int     // 1: it would be beyond its quota
	share    float64 // of what its dominant resource has, by weight
}

// merge is what is the same for all streams of one ordering.
type merge struct {
	cycle    *cycle
	capacity [resources]float64
	promised promises
}

// merged is the line of waiting jobs where queues share: lines of queues, each in its order, taken turn by
// turn.
func (c *cycle) merged(waiting []spot) []spot {
	m := &merge{cycle: c, capacity: c.capacity(), promised: c.line.promises}
	if c.linesAt != c.line.version || len(c.kept) > 0 {
		c.lines, c.linesAt = m.lines(waiting), c.line.version
	}
	lines := c.lines
	past := c.past()
	top := &stream{root: true, queue: -1, merge: m}
	for i := range c.tree.queues {
		if c.tree.queues[i].parent < 0 {
			top.join(m.stream(i, lines, past))
		}
	}
	if lost := lines[-1]; lost != nil { // their queue does not exist
		top.join(&stream{line: lost, queue: -1, merge: m})
	}
	heap.Init(top)
	line := make([]spot, 0, len(waiting))
	for len(top.kids) > 0 && len(line) < turns {
		line = append(line, c.spotOf(top.next()))
	}
	for _, e := range top.rest() {
		line = append(line, c.spotOf(e))
	}
	return line
}

// turns is how many jobs are taken turn by turn; a fleet that could start more at a time is not known. Those
// behind them come by priority and queue, so that a line of 100,000 costs little more than one of these.
const turns = 4096

// rest is what is left of all lines, by priority.
func (s *stream) rest() (line []*entry) {
	lines, left := s.lines(nil), 0
	for _, l := range lines {
		left += len(l)
	}
	line = make([]*entry, 0, left)
	for p := nexus.Critical; p >= nexus.Low; p-- {
		for i, l := range lines {
			n := slices.IndexFunc(l, func(e *entry) bool { return e.job.Spec.Priority != p })
			if n < 0 {
				n = len(l)
			}
			line, lines[i] = append(line, l[:n]...), l[n:]
		}
	}
	return line
}

func (s *stream) lines(all [][]*entry) [][]*entry {
	if len(s.line) > 0 {
		all = append(all, s.line)
	}
	for _, kid := range s.kids {
		all = kid.lines(all)
	}
	return all
}

// lines are the jobs of each queue in its order; -1 is of those whose queue does not exist.
func (m *merge) lines(waiting []spot) map[int][]*entry {
	count := map[int]int{}
	for i := range waiting {
		count[waiting[i].entry.queue]++
	}
	lines := make(map[int][]*entry, len(count))
	for i, n := range count {
		lines[i] = make([]*entry, 0, n)
	}
	for i := range waiting {
		e := waiting[i].entry
		lines[e.queue] = append(lines[e.queue], e)
	}
	for i, line := range lines {
		order := nexus.OrderPriority
		if i >= 0 {
			order = m.cycle.tree.queues[i].Order
		}
		m.sort(line, order)
	}
	return lines
}

// stream makes the stream of a queue and those below it; nil where nobody waits.
func (m *merge) stream(i int, lines map[int][]*entry, past map[userAt][resources]float64) *stream {
	q := &m.cycle.tree.queues[i]
	s := &stream{queue: i, weight: float64(q.Share()), past: past[userAt{i, ""}], merge: m}
	copy(s.held[:], m.cycle.held.of(i))
	own := lines[i]
	if len(q.children) == 0 && q.Order != nexus.OrderFair {
		s.line = own
		return s.ready()
	}
	for _, child := range q.children {
		s.join(m.stream(child, lines, past))
	}
	users := map[string]*stream{}
	for _, e := range own {
		u := users[e.job.User]
		if u == nil {
			u = &stream{queue: i, user: e.job.User, weight: 1, past: past[userAt{i, e.job.User}], held: m.cycle.users[userAt{i, e.job.User}].has, merge: m}
			if q.Order != nexus.OrderFair { // jobs of a queue that was divided since: one line
				u.user = ""
			}
			users[e.job.User] = u
			s.kids = append(s.kids, u)
		}
		u.line = append(u.line, e)
	}
	s.kids = slices.DeleteFunc(s.kids, func(k *stream) bool { return k.ready() == nil })
	heap.Init(s)
	return s.ready()
}

// sort brings the jobs of a queue into its order; those for whom seats are kept come first among equals.
func (m *merge) sort(line []*entry, order nexus.QueueOrder) {
	kept := m.cycle.kept
	holders := order != "" && order != nexus.OrderPriority && len(kept) > 0
	slices.SortFunc(line, func(a, b *entry) int {
		if holders && a.job.Spec.Priority == b.job.Spec.Priority {
			if first := cmp.Compare(bit(len(kept[b.job.ID].Seats) > 0), bit(len(kept[a.job.ID].Seats) > 0)); first != 0 {
				return first
			}
		}
		return policy.CompareIn(order, &a.job, &b.job, a.key, b.key, m.promised.of(&a.job))
	})
}

func (s *stream) join(kid *stream) {
	if kid != nil {
		s.kids = append(s.kids, kid)
	}
}

// ready works out whose turn it is; nil where nobody is left.
func (s *stream) ready() *stream {
	head := s.head()
	if head == nil {
		return nil
	}
	s.turn = turn{priority: head.job.Spec.Priority, waits: 1}
	if kept := s.merge.cycle.kept; len(kept) > 0 && len(kept[head.job.ID].Seats) > 0 {
		s.turn.waits = 0
	}
	for r, n := range s.held {
		if s.user == "" && s.queue >= 0 && head.want[r] > 0 {
			if quota := s.merge.cycle.tree.queues[s.queue].quota[r]; quota != unlimited && n+head.want[r] > quota {
				s.turn.beyond = 1
			}
		}
		if cap := s.merge.capacity[r]; cap > 0 {
			s.turn.share = max(s.turn.share, (float64(n)+s.past[r])/cap/max(1, s.weight))
		}
	}
	return s
}

func (s *stream) head() *entry {
	switch {
	case len(s.kids) > 0:
		return s.kids[0].head()
	case len(s.line) > 0:
		return s.line[0]
	}
	return nil
}

// next takes the job whose turn it is, and counts it.
func (s *stream) next() *entry {
	var e *entry
	if len(s.kids) == 0 {
		e, s.line = s.line[0], s.line[1:]
	} else {
		kid := s.kids[0]
		e = kid.next()
		if kid.ready() == nil {
			heap.Pop(s)
		} else {
			heap.Fix(s, 0)
		}
	}
	for r, n := range e.want {
		s.held[r] += n
	}
	return e
}

// Len, Less, Swap, Push and Pop make a heap of the streams that are merged.
func (s *stream) Len() int { return len(s.kids) }

// Less says whose turn comes first.
func (s *stream) Less(i, j int) bool {
	a, b := s.kids[i], s.kids[j]
	first, second := a.head(), b.head()
	x, y := &first.job, &second.job
	if s.root {
		return policy.Compare(x, y, first.key, second.key, s.merge.promised.of(x)) < 0
	}
	return cmp.Or(cmp.Compare(b.turn.priority, a.turn.priority), cmp.Compare(a.turn.waits, b.turn.waits),
		cmp.Compare(a.turn.beyond, b.turn.beyond), cmp.Compare(a.turn.share, b.turn.share),
		x.Submitted.Compare(y.Submitted), cmp.Compare(x.ID, y.ID)) < 0
}

// Swap exchanges two streams.
func (s *stream) Swap(i, j int) { s.kids[i], s.kids[j] = s.kids[j], s.kids[i] }

// Push is not used: streams only run dry.
func (s *stream) Push(any) {}

// Pop drops the last stream.
func (s *stream) Pop() any {
	last := s.kids[len(s.kids)-1]
	s.kids = s.kids[:len(s.kids)-1]
	return last
}

// capacity is what the fleet has of each resource.
func (c *cycle) capacity() (total [resources]float64) {
	for _, name := range c.now.Names() {
		n := c.now.Node(name)
		total[ofGPUs] += float64(len(n.GPUs))
		total[ofCPU] += float64(n.CPU)
		for i := range n.GPUs {
			total[ofShares] += float64(n.GPUs[i].Usable())
		}
	}
	return total
}

// past is what queues, with all below them, and users of queues held on average.
func (c *cycle) past() map[userAt][resources]float64 {
	half := c.policy.Half()
	at := policy.Newest(c.use)
	past := map[userAt][resources]float64{}
	for _, u := range c.use {
		i, known := c.tree.at[u.Queue]
		if !known {
			continue
		}
		u = policy.Decayed(u, at, half)
		gpus, cpus := policy.Average(u.GPUTime, half)/1000, policy.Average(u.CPUTime, half)
		count := func(key userAt) {
			had := past[key]
			had[ofGPUs], had[ofCPU] = had[ofGPUs]+gpus, had[ofCPU]+cpus
			past[key] = had
		}
		if u.User != "" {
			count(userAt{i, u.User})
		}
		for ; i >= 0; i = c.tree.queues[i].parent {
			count(userAt{i, ""})
		}
	}
	return past
}

// shareOf is a queue's part of what the fleet has, of the resource it has most of, by weight.
func (c *cycle) shareOf(queue int, held amounts) float64 {
	share, capacity := 0.0, c.capacity()
	for r, cap := range capacity {
		if cap > 0 {
			share = max(share, float64(held[r])/cap/float64(c.tree.queues[queue].Share()))
		}
	}
	return share
}

// wants is what counts of a waiting job where queues are compared.
func wants(s *nexus.Spec) (want [resources]int64) {
	nodes := int64(gang(s).Min)
	gpus := s.Resources.GPUs.N
	if s.Resources.GPUs.Auto {
		gpus = max(1, s.Workers)
	}
	want[ofGPUs] = nodes * int64(gpus)
	if s.Resources.Share() {
		want[ofShares] = nodes * int64(s.Resources.GPUMemory)
	}
	want[ofCPU] = nodes * leastCPU(s)
	return want
}
