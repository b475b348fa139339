package sched

// clears remembers for one kind of request what every node proposes to a claim.
type clears struct {
	*tournament[proposal]
	seen  uint64 // of the ledger's changes
	stale slots  // changed since they were asked
}

// clears are those of a table, with all that changed noted. Better says which of two proposals is.
func (t *table) clears(x *index, better func(a, b *proposal) int) *clears {
	if t.waits == nil {
		t.waits = &clears{tournament: newTournament(len(x.rooms), better)}
	}
	t.waits.compare = better // of this cycle
	t.waits.seen = x.ledger.Changed(t.waits.seen, t.waits.stale.add)
	return t.waits
}

// look asks the nodes that changed, those aside that cannot be asked now.
func (k *clears) look(aside *slots, ask func(slot int) proposal) {
	many := len(k.stale.list) > k.size/8
	later := k.stale.list[:0]
	for _, slot := range k.stale.list {
		if aside.has(slot) {
			later = append(later, slot)
			continue
		}
		k.stale.in[slot] = false
		if k.values[slot] = ask(slot); !many {
			k.play(slot)
		}
	}
	if k.stale.list = later; many {
		k.playAll()
	}
}
