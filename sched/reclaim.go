package sched

import (
	"cmp"
	"slices"

	"ainexus.io/nexus"
	"ainexus.io/sched/policy"
)

// reclaim makes room for a job by jobs whose queues hold more than they are entitled to, while its own
// stays within that; jobs of lower priority that [cycle.mayEvict] allows are asked as well. It works as
// yield does: reserve first, then evict, and the seats and the quota are kept for the job until it starts
// or gives up.
//
// Nobody is evicted in turn: who was evicted was beyond its queue's quota, so it cannot reclaim, and who
// took its place is within it, so it cannot be reclaimed from.
func (c *cycle) reclaim(e *entry) bool {
	if c.tree.plain || e.queue < 0 {
		return false
	}
	key := hungry{e.form, e.job.Spec.Priority, e.queue}
	if c.robbed[key] && c.stopping[e.job.ID] == nil {
		return false
	}
	soon, own := c.leavingFor(e)
	seats, victims := c.roomByLent(e, soon)
	if seats == nil {
		c.robbed[key] = true
		return false
	}
	e.ahead = len(c.claims)
	c.ask(e, seats, victims, soon, own)
	return true
}

// takeBack finds the seats that a job gets once those who stop are gone, and whom else it takes: the
// cheapest of those most over their share, as few as do. Accounts are left as they were.
func (c *cycle) takeBack(e *entry, soon []*entry) (seats []nexus.Seat, victims []*entry) {
	t := &taking{cycle: c, e: e, after: c.inPromise().clone()}
	before, now, later, size := c.held, c.now.Checkpoint(), c.later.Checkpoint(), len(c.apart.list)
	c.held = before.clone()
	defer func() {
		c.held = before
		c.now.Rollback(now)
		c.later.Rollback(later)
		c.apart.cut(size)
	}()
	for _, v := range soon {
		t.leaves(v)
	}
	if len(soon) > 0 {
		if seats = t.seats(); seats != nil {
			return seats, nil
		}
	}
	if c.bars.calm[e.job.ID] {
		return nil, nil
	}
	candidates := t.candidates()
	for _, v := range candidates {
		if !t.legal(v) {
			continue
		}
		if top, side, _ := t.tree.fork(e.queue, v.queue); top >= 0 && !t.mayEvict(e, v, t.after) {
			t.sides = append(t.sides, side)
		}
		t.leaves(v)
		victims = append(victims, v)
		if seats = t.seats(); seats != nil {
			break
		}
	}
	if seats == nil {
		return nil, nil
	}
	var needed []*entry
	for _, v := range slices.Backward(victims) {
		t.stays(v)
		if again := t.seats(); again != nil {
			seats = again
			continue
		}
		t.leaves(v)
		needed = append(needed, v)
	}
	if seats = t.seats(); seats == nil {
		return nil, nil
	}
	slices.Reverse(needed)
	return seats, needed
}

// taking is a search for jobs to take capacity back from.
type taking struct {
	*cycle
	e     *entry
	after account // what is held once those who leave for somebody ahead are gone and he has theirs
	sides []int   // the queues on its side that have to be entitled to what it takes
}

// leaves takes a live job out of all accounts.
func (t *taking) leaves(v *entry) {
	t.gone(v)
	t.count(v, -1)
}

func (t *taking) stays(v *entry) {
	t.now.Charge(v.job.ID, v.job.Placement.Seats)
	t.later.Charge(v.job.ID, v.job.Placement.Seats)
	t.count(v, 1)
}

func (t *taking) count(v *entry, sign int64) {
	if v.spent == nil {
		return
	}
	what := t.given(v)
	t.tree.add(t.held, v.queue, what, sign)
	if !t.returned[v.job.ID] {
		t.tree.add(t.after, v.queue, what, sign)
	}
}

// seats are those that the job would get as things are.
func (t *taking) seats() []nexus.Seat {
	t.widen(t.e)
	entitled := func(what amounts) bool {
		return !slices.ContainsFunc(t.sides, func(side int) bool { return !t.entitles(side, what) })
	}
	fits := func(what amounts) (shortage, bool) {
		if short, ok := t.tree.fits(t.held, t.e.queue, what, false); !ok {
			return short, false
		}
		return t.tree.fits(t.after, t.e.queue, what, true)
	}
	if _, ok := t.narrow(t.e, entitled, fits); !ok {
		return nil
	}
	return t.find(t.e, t.both, &t.apart)
}

// candidates lists whom the job may take capacity from: first those over their quota, of the queue most
// over its share first, then those of lower priority; the cheapest first.
func (t *taking) candidates() []*entry {
	seen := map[string]bool{}
	var list []*entry
	for _, on := range t.live {
		for id, v := range on {
			if seen[id] {
				continue
			}
			seen[id] = true
			_, undecided := t.taken[id]
			undecided = undecided && !t.bars.fresh[id]
			if v.job.Phase != nexus.Stopping && t.later.Held(id) != nil && !undecided && t.exposed(t.e, v) && t.legal(v) {
				list = append(list, v)
			}
		}
	}
	share := map[int]float64{}
	back := map[string]bool{}
	for _, v := range list {
		if _, known := share[v.queue]; !known {
			share[v.queue] = t.shareOf(v.queue, t.after.of(v.queue))
		}
		back[v.job.ID] = t.borrowed(v)
	}
	slices.SortFunc(list, func(a, b *entry) int {
		return cmp.Or(cmp.Compare(bit(!back[a.job.ID]), bit(!back[b.job.ID])), cmp.Compare(share[b.queue], share[a.queue]),
			cmp.Compare(a.queue, b.queue), policy.CompareVictims(&a.job, &b.job, t.at))
	})
	return list
}

// legal reports whether the job may take a live one's seats as things are: its queue holds more than it is
// entitled to, or it has a lower priority and no quota to protect it.
func (t *taking) legal(v *entry) bool { return t.borrowed(v) || t.mayEvict(t.e, v, t.after) }

// borrowed reports whether a live job stands on what another queue lent, and the job that asks is entitled
// to that. Priority decides first: nothing is reclaimed from a higher one.
func (t *taking) borrowed(v *entry) bool {
	if v.spent == nil || v.queue == t.e.queue || v.job.Spec.Priority > t.e.job.Spec.Priority {
		return false
	}
	top, toMe, _ := t.tree.fork(t.e.queue, v.queue)
	if top < 0 {
		return false
	}
	for _, k := range t.kinds(&t.e.job.Spec) {
		what := t.leastAsked(t.e, k)
		_, now := t.tree.standing(t.held, v.queue, top, what, v.spent)
		_, then := t.tree.standing(t.after, v.queue, top, what, v.spent)
		if now && then && t.entitles(toMe, what) {
			return true
		}
	}
	return false
}

// entitles reports whether a queue may have so much more within its quota, now and once those ahead have theirs.
func (t *taking) entitles(queue int, what amounts) bool {
	return t.tree.entitles(t.held, queue, what) && t.tree.entitles(t.after, queue, what)
}

// entitles reports whether a queue may have so much more within its quota.
func (t *tree) entitles(a account, queue int, what amounts) bool {
	for cell, n := range what {
		if quota := t.queues[queue].quota[cell]; n > 0 && quota != unlimited && a.of(queue)[cell]+n > quota {
			return false
		}
	}
	return true
}

// leastAsked is the least that a job would start with, of a kind.
func (c *cycle) leastAsked(e *entry, k kind) amounts {
	return c.amountAsked(&e.job.Spec, gang(&e.job.Spec).Min, c.gpusEach(&e.job.Spec), k.rows)
}

// mayEvict reports whether a waiting job may take the seats of a running one by its priority. What a queue
// holds within its quota is safe from other queues, by what is held now and by the account after; that of
// those who wait, where none is given.
func (c *cycle) mayEvict(e, v *entry, after ...account) bool {
	return policy.MayEvict(&e.job, &v.job) && c.unprotected(e, v, after...)
}

// unprotected reports whether no quota keeps what a live job holds from another that asks for it.
func (c *cycle) unprotected(e, v *entry, after ...account) bool {
	if c.tree.plain || v.spent == nil || e.queue == v.queue {
		return true
	}
	if len(after) == 0 {
		after = append(after, c.inPromise())
	}
	top, _, _ := c.tree.fork(e.queue, v.queue)
	for _, k := range c.kinds(&e.job.Spec) {
		for _, a := range append(after, c.held) {
			if limited, borrows := c.tree.standing(a, v.queue, top, c.leastAsked(e, k), v.spent); limited && !borrows {
				return false
			}
		}
	}
	return true
}
