package sched

// tournament keeps a value per slot and knows the best of them. A change costs the logarithm of their number, and so does
// the best of all but a few.
type tournament[T any] struct {
	compare func(a, b *T) int // negative: a is better; of equals the lower slot is
	values  []T
	tree    []int32 // the winner below each inner node; leaf i is node size+i; -1: nobody
	size    int     // number of leaves, a power of two
}

func newTournament[T any](n int, compare func(a, b *T) int) *tournament[T] {
	t := &tournament[T]{compare: compare, values: make([]T, n), size: 1}
	for t.size < n {
		t.size *= 2
	}
	t.tree = make([]int32, 2*t.size)
	for i := range t.tree {
		t.tree[i] = -1
	}
	for i := range n {
		t.tree[t.size+i] = int32(i)
	}
	return t
}

// play brings the winners up to date after a value has changed.
func (t *tournament[T]) play(slot int) {
	for node := (t.size + slot) / 2; node > 0; node /= 2 {
		t.tree[node] = t.better(t.tree[2*node], t.tree[2*node+1])
	}
}

// playAll does it after many values have changed.
func (t *tournament[T]) playAll() {
	for node := t.size - 1; node > 0; node-- {
		t.tree[node] = t.better(t.tree[2*node], t.tree[2*node+1])
	}
}

func (t *tournament[T]) better(a, b int32) int32 {
	switch {
	case a < 0:
		return b
	case b < 0 || t.compare(&t.values[a], &t.values[b]) <= 0:
		return a
	}
	return b
}

// best is the slot with the best value among those that are not left out; -1 if there is none.
func (t *tournament[T]) best(without *slots) int {
	return int(t.below(1, without))
}

func (t *tournament[T]) below(node int, without *slots) int32 {
	winner := t.tree[node]
	if winner < 0 || !without.has(int(winner)) {
		return winner
	}
	if node >= t.size {
		return -1
	}
	return t.better(t.below(2*node, without), t.below(2*node+1, without))
}

// slots is a set of slots. The zero value is empty.
type slots struct {
	list []int
	in   []bool
}

func (s *slots) has(slot int) bool { return s != nil && slot < len(s.in) && s.in[slot] }

func (s *slots) add(slot int) {
	if s.has(slot) {
		return
	}
	if slot >= len(s.in) {
		s.in = append(s.in, make([]bool, slot+1-len(s.in))...)
	}
	s.in[slot] = true
	s.list = append(s.list, slot)
}

func (s *slots) addAll(list []int) {
	for _, slot := range list {
		s.add(slot)
	}
}

// cut takes out whoever was added after the set had n members.
func (s *slots) cut(n int) {
	for _, slot := range s.list[n:] {
		s.in[slot] = false
	}
	s.list = s.list[:n]
}
