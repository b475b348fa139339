package sched

import (
	"slices"
	"time"

	"ainexus.io/nexus"
	"ainexus.io/sched/policy"
)

// The resources that quotas count. A model's row counts all three again, for GPUs of that model.
const (
	ofGPUs = iota
	ofShares
	ofCPU
	resources
)

var resourceNames = [resources]string{"gpus", "gpu_memory", "cpu"}

// unlimited is the quota where there is none.
const unlimited = -1

// amounts is what a job holds or asks for, a cell for each resource of each model that quotas name; the
// first cells are of all GPUs, whatever their model.
type amounts []int64

// tree is the queues with what they are entitled to. It changes only when the queues do.
type tree struct {
	queues  []branch // by name
	at      map[string]int
	models  []string      // that quotas name, sorted; "" is the first and stands for all GPUs
	slicing bool          // some queue slices time
	longest time.Duration // minimum run time of any queue
	plain   bool          // no queue says anything: nothing has to be counted
	shared  bool          // turns are by share somewhere, or a queue has an order of its own
}

// branch is one queue in the tree.
type branch struct {
	nexus.Queue
	parent   int // -1: none
	children []int
	bounds   policy.Bounds // of its jobs
	quota    amounts       // what it is entitled to; [unlimited] where nobody of its cohort has a quota
	keeps    amounts       // what of that is never lent
	most     amounts       // what it may hold with all that it borrows; [unlimited] where only the cohort is a limit
}

// cells is how many cells an amount has.
func (t *tree) cells() int { return len(t.models) * resources }

// newTree plants the queues. An unknown parent, or one that would close a circle, counts as none: places
// refuse both.
func newTree(queues map[string]nexus.Queue) *tree {
	t := &tree{at: map[string]int{}, plain: true}
	names := []string{nexus.DefaultQueue}
	models := []string{""}
	for name, q := range queues {
		names = append(names, name)
		for _, row := range q.Quota {
			models = append(models, row.GPUModel)
		}
		ordered := q.Order != "" && q.Order != nexus.OrderPriority
		t.slicing = t.slicing || q.TimeSlicing
		t.shared = t.shared || q.Parent != "" || ordered
		t.plain = t.plain && len(q.Quota) == 0 && q.Parent == "" && q.PerUser == (nexus.PerUser{}) && !ordered
	}
	slices.Sort(names)
	slices.Sort(models)
	t.models = slices.Compact(models)
	for i, name := range slices.Compact(names) {
		q := queues[name]
		q.Name = name
		t.queues, t.at[name] = append(t.queues, branch{Queue: q, parent: -1}), i
	}
	for i := range t.queues {
		b := &t.queues[i]
		if parent, known := t.at[b.Parent]; known && !t.under(parent, i) {
			b.parent = parent
			t.queues[parent].children = append(t.queues[parent].children, i)
		}
	}
	for i := range t.queues {
		if t.queues[i].parent < 0 {
			t.entitle(i)
			t.limit(i)
			t.protect(i, policy.DefaultBounds())
		}
	}
	return t
}

// protect gives a queue and those below it the bounds that they say, else those from above.
func (t *tree) protect(i int, above policy.Bounds) {
	b := &t.queues[i]
	b.bounds = above.Of(&b.Queue)
	t.longest = max(t.longest, b.bounds.MinRun)
	for _, child := range b.children {
		t.protect(child, b.bounds)
	}
}

// under reports whether a queue is another or below it.
func (t *tree) under(i, top int) bool {
	for ; i >= 0; i = t.queues[i].parent {
		if i == top {
			return true
		}
	}
	return false
}

// entitle works out what a queue and those below it are entitled to: what its rows say, else what its
// children have between them.
func (t *tree) entitle(i int) {
	b := &t.queues[i]
	b.quota = make(amounts, t.cells())
	for cell := range b.quota {
		b.quota[cell] = unlimited
	}
	for _, child := range b.children {
		t.entitle(child)
		for cell, q := range t.queues[child].quota {
			if q != unlimited {
				b.quota[cell] = max(0, b.quota[cell]) + q
			}
		}
	}
	for _, row := range b.Quota {
		m, _ := slices.BinarySearch(t.models, row.GPUModel)
		cells := b.quota[m*resources:]
		if row.GPUs != nil {
			cells[ofGPUs] = int64(*row.GPUs)
		}
		if row.GPUMemory != nil {
			cells[ofShares] = int64(*row.GPUMemory)
		}
		if row.CPU != nil {
			cells[ofCPU] = int64(*row.CPU)
		}
	}
}

// limit works out what follows from quotas: in a cohort where there is one, who has none is entitled to
// nothing.
func (t *tree) limit(i int) {
	b := &t.queues[i]
	b.keeps, b.most = make(amounts, t.cells()), make(amounts, t.cells())
	for cell, q := range b.quota {
		if q == unlimited && b.parent >= 0 && t.queues[b.parent].quota[cell] != unlimited {
			q = 0
			b.quota[cell] = 0
		}
		b.most[cell] = q
		if q == unlimited || b.parent < 0 {
			continue
		}
		gpus := cell%resources == ofGPUs
		switch {
		case b.LendLimit == nil:
		case gpus || *b.LendLimit == 0:
			b.keeps[cell] = max(0, q-int64(*b.LendLimit))
		}
		switch {
		case b.BorrowLimit != nil && (gpus || *b.BorrowLimit == 0):
			b.most[cell] = q + int64(*b.BorrowLimit)
		default:
			b.most[cell] = unlimited
		}
	}
	for _, child := range b.children {
		t.limit(child)
	}
}

// account is what each queue holds, a row of cells for each. It is cheap to copy.
type account struct {
	cells int
	held  []int64
}

func newAccount(t *tree) account {
	return account{t.cells(), make([]int64, len(t.queues)*t.cells())}
}

func (a account) clone() account { return account{a.cells, slices.Clone(a.held)} }

func (a account) of(queue int) amounts { return a.held[queue*a.cells : (queue+1)*a.cells] }

// add books an amount (sign 1) with a queue and all above it, or gives it back (sign -1).
func (t *tree) add(a account, queue int, what amounts, sign int64) {
	for ; queue >= 0; queue = t.queues[queue].parent {
		held := a.of(queue)
		for cell, n := range what {
			held[cell] += sign * n
		}
	}
}

// shortage is the limit that a job runs into.
type shortage struct {
	queue  int // whose limit it is
	cohort int // the parent whose pool is short; -1: the queue's own limit
	cell   int
	need   int64
	have   int64 // the most that it could have now
	behind bool  // there is enough, but those who wait ahead have it coming
	now    bool  // of some kind there is not enough
}

// fits reports whether a queue may hold so much more, and else what is short. With entitled, what a queue
// is entitled to is not denied by what is above it: of an account that counts those who wait, that would
// let borrowers stand in a lender's way.
func (t *tree) fits(a account, queue int, what amounts, entitled bool) (shortage, bool) {
	for cell, need := range what {
		if need == 0 {
			continue
		}
		kept := int64(0) // idle quota on the way up that is not lent
		for i, from := queue, -1; i >= 0; i, from = t.queues[i].parent, i {
			b := &t.queues[i]
			quota, held := b.quota[cell], a.of(i)[cell]
			if quota == unlimited {
				break
			}
			if most := b.most[cell]; most != unlimited && held+need+kept > most {
				s := shortage{queue: i, cohort: -1, cell: cell, need: need, have: max(0, most-held-kept)}
				if from >= 0 {
					s.queue, s.cohort = from, i
				}
				return s, false
			}
			if within := held+need <= quota; within && entitled {
				break
			} else if !within {
				kept += t.kept(a, i, cell)
			}
		}
	}
	return shortage{}, true
}

// kept is what the siblings of a queue have idle and do not lend.
func (t *tree) kept(a account, queue, cell int) (kept int64) {
	if t.queues[queue].parent < 0 {
		return 0
	}
	for _, s := range t.queues[t.queues[queue].parent].children {
		if s != queue {
			kept += max(0, t.queues[s].keeps[cell]-a.of(s)[cell])
		}
	}
	return kept
}

// standing tells of a queue and those above it, up to top, whether there are quotas of what both amounts
// have, and whether all of them hold more than one of these entitles them to.
func (t *tree) standing(a account, queue, top int, mine, theirs amounts) (limited, borrows bool) {
	for cell := range mine {
		if mine[cell] == 0 || theirs[cell] == 0 {
			continue
		}
		over := false
		for i := queue; i >= 0 && i != top; i = t.queues[i].parent {
			quota := t.queues[i].quota[cell]
			if quota == unlimited {
				break
			}
			limited = true
			if over = a.of(i)[cell] > quota; !over {
				break
			}
		}
		borrows = borrows || over
	}
	return limited, borrows
}

// fork is the lowest queue above both, and those of its children that lead to them; -1: they have nothing in
// common.
func (t *tree) fork(a, b int) (top, toA, toB int) {
	for toA = a; toA >= 0; toA = t.queues[toA].parent {
		for toB = b; toB >= 0; toB = t.queues[toB].parent {
			if t.queues[toA].parent >= 0 && t.queues[toA].parent == t.queues[toB].parent {
				return t.queues[toA].parent, toA, toB
			}
		}
	}
	return -1, -1, -1
}

// rowsOf are the models that quotas name and a device is of, as positions in the tree's models; 0 is every
// device's.
func (t *tree) rowsOf(model string) []int {
	rows := []int{0}
	for m, name := range t.models {
		if m > 0 && isModel(&nexus.GPU{Model: model}, []string{name}) {
			rows = append(rows, m)
		}
	}
	return rows
}
