package ledger

// changes is what lets a reader of the ledger look only at what changed: the accounts of known nodes in a ring, the
// latest changed first.
type changes struct {
	fleet uint64 // counts the comings and goings of nodes
	last  uint64 // the latest step
	ring  *account
}

// step is an account's place in the ring.
type step struct {
	at         uint64
	prev, next *account
	slot       int
}

func newChanges() changes {
	ring := &account{}
	ring.change.prev, ring.change.next = ring, ring
	return changes{ring: ring}
}

func (c *changes) note(a *account) {
	c.forget(a)
	c.last++
	a.change.at = c.last
	first := c.ring.change.next
	a.change.prev, a.change.next = c.ring, first
	first.change.prev, c.ring.change.next = a, a
}

func (c *changes) forget(a *account) {
	if a.change.next == nil {
		return
	}
	a.change.prev.change.next, a.change.next.change.prev = a.change.next, a.change.prev
	a.change.prev, a.change.next = nil, nil
}

// Fleet changes whenever a node comes or goes. Until then each node keeps its slot: its place in [Ledger.Names].
func (l *Ledger) Fleet() uint64 { return l.changes.fleet }

// Number gives every node its slot. It is called after Fleet has changed and before Changed.
func (l *Ledger) Number() {
	for slot, a := range l.known {
		a.change.slot = slot
	}
}

// Slot is where a node stands; false if there is none of that name.
func (l *Ledger) Slot(name string) (int, bool) {
	a := l.accounts[name]
	if a == nil || !a.known {
		return 0, false
	}
	return a.change.slot, true
}

// Changed calls f with the slot of every node about which anything changed after since, and returns what to say the
// next time; 0 is the beginning.
func (l *Ledger) Changed(since uint64, f func(slot int)) uint64 {
	for a := l.changes.ring.change.next; a != l.changes.ring && a.change.at > since; a = a.change.next {
		f(a.change.slot)
	}
	return l.changes.last
}
