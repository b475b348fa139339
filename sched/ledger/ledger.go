package ledger

import (
	"maps"
	"slices"

	"ainexus.io/nexus"
)

// Ledger holds one account per node and remembers which owner (a job id) holds which seat there. Seats
// on nodes it does not know are remembered too and count as soon as the node appears.
type Ledger struct {
	names    []string   // of nodes, sorted
	known    []*account // parallel to names
	accounts map[string]*account
	owners   map[string][]nexus.Seat
	changes  changes
	undo     []change
	open     int // checkpoints not yet rolled back
	scratch  Room
}

// account is what one node has and what is held of it.
type account struct {
	node   nexus.Node
	known  bool // false: only held seats are known, the node itself is not
	change step // when anything about it changed last
	held   map[string]nexus.Seat
	sums
}

// sums is what is held of a node, added up.
type sums struct {
	jobs   int
	cpu    nexus.CPU
	memory nexus.MiB
	gpus   []gpuAccount // parallel to node.GPUs
}

type gpuAccount struct {
	whole   int // owners that hold the device as a whole; 2 only where facts say so
	sharers int
	shares  nexus.MiB
}

// change is one entry of the undo log.
type change struct {
	owner string
	seats []nexus.Seat
	taken bool
}

// New returns a ledger without nodes.
func New() *Ledger {
	return &Ledger{accounts: map[string]*account{}, owners: map[string][]nexus.Seat{}, changes: newChanges()}
}

// Names lists the nodes in order. The caller must not change the slice.
func (l *Ledger) Names() []string { return l.names }

// Node returns a node as last set; nil if there is none of that name.
func (l *Ledger) Node(name string) *nexus.Node {
	if a := l.accounts[name]; a != nil && a.known {
		return &a.node
	}
	return nil
}

// SetNode adds a node or replaces it; what is held there stays held. It must not be called between a
// checkpoint and its rollback.
func (l *Ledger) SetNode(n nexus.Node) {
	a := l.account(n.Name)
	if !a.known {
		i, _ := slices.BinarySearch(l.names, n.Name)
		l.names = slices.Insert(l.names, i, n.Name)
		l.known = slices.Insert(l.known, i, a)
		l.changes.fleet++
	}
	a.node, a.known = n, true
	a.recount()
	l.changes.note(a)
}

// DropNode forgets a node but not what is held there: its agents may still live.
func (l *Ledger) DropNode(name string) {
	a := l.accounts[name]
	if a == nil || !a.known {
		return
	}
	a.node, a.known, a.gpus = nexus.Node{}, false, nil // what is held is counted again when it comes back
	if i, ok := slices.BinarySearch(l.names, name); ok {
		l.names = slices.Delete(l.names, i, i+1)
		l.known = slices.Delete(l.known, i, i+1)
	}
	l.changes.fleet++
	l.changes.forget(a)
	if len(a.held) == 0 {
		delete(l.accounts, name)
	}
}

// Charge books seats as a fact, whether or not they fit. An owner has one set of seats at a time.
func (l *Ledger) Charge(owner string, seats []nexus.Seat) {
	if len(seats) == 0 || l.owners[owner] != nil {
		return
	}
	for i := range seats {
		l.book(owner, seats[i], 1)
	}
	l.owners[owner] = seats
	l.note(change{owner, seats, true})
}

// Take books seats if all of them fit, and none otherwise.
func (l *Ledger) Take(owner string, seats []nexus.Seat) bool {
	if l.owners[owner] != nil {
		return false
	}
	for i := range seats {
		if !l.Fits(seats[i]) {
			return false
		}
	}
	l.Charge(owner, seats)
	return true
}

// Release gives back what the owner holds and returns it; nil if nothing.
func (l *Ledger) Release(owner string) []nexus.Seat {
	seats := l.owners[owner]
	if seats == nil {
		return nil
	}
	for i := range seats {
		l.book(owner, seats[i], -1)
	}
	delete(l.owners, owner)
	l.note(change{owner, seats, false})
	return seats
}

// Held returns what the owner holds; nil if nothing.
func (l *Ledger) Held(owner string) []nexus.Seat { return l.owners[owner] }

// HeldOn lists who holds something on a node, in order.
func (l *Ledger) HeldOn(node string) []string {
	a := l.accounts[node]
	if a == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(a.held))
}

// Mark is a point to which a ledger can be rolled back.
type Mark int

// Checkpoint starts to remember changes.
func (l *Ledger) Checkpoint() Mark {
	l.open++
	return Mark(len(l.undo))
}

// Rollback undoes every change since the mark, and ends its checkpoint.
func (l *Ledger) Rollback(m Mark) {
	for i := len(l.undo) - 1; i >= int(m); i-- {
		c := l.undo[i]
		sign := 1
		if c.taken {
			sign = -1
			delete(l.owners, c.owner)
		} else {
			l.owners[c.owner] = c.seats
		}
		for i := range c.seats {
			l.book(c.owner, c.seats[i], sign)
		}
	}
	l.undo = l.undo[:m]
	l.open--
}

// Keep ends a checkpoint and leaves its changes in place; an outer checkpoint can still undo them.
func (l *Ledger) Keep(Mark) {
	l.open--
	if l.open == 0 {
		l.undo = l.undo[:0]
	}
}

func (l *Ledger) note(c change) {
	if l.open > 0 {
		l.undo = append(l.undo, c)
	}
}

func (l *Ledger) account(name string) *account {
	a := l.accounts[name]
	if a == nil {
		a = &account{held: map[string]nexus.Seat{}}
		l.accounts[name] = a
	}
	return a
}

// book takes a seat (sign 1) or gives it back (sign -1).
func (l *Ledger) book(owner string, s nexus.Seat, sign int) {
	a := l.account(s.Node)
	if sign > 0 {
		a.held[owner] = s
	} else {
		delete(a.held, owner)
	}
	a.count(&a.node, &s, sign)
	if a.known {
		l.changes.note(a)
	}
}

// recount works the account out again from what is held.
func (a *account) recount() {
	a.sums = sums{gpus: make([]gpuAccount, len(a.node.GPUs))}
	for _, s := range a.held {
		a.count(&a.node, &s, 1)
	}
}

// count adds a seat (sign 1) or takes it out (sign -1).
func (u *sums) count(n *nexus.Node, s *nexus.Seat, sign int) {
	u.jobs += sign
	u.cpu += nexus.CPU(sign) * s.CPU
	u.memory += nexus.MiB(sign) * s.Memory
	for _, g := range s.GPUs {
		i := find(n, g)
		switch {
		case i < 0 || i >= len(u.gpus):
		case s.Share > 0:
			u.gpus[i].sharers += sign
			u.gpus[i].shares += nexus.MiB(sign) * s.Share
		default:
			u.gpus[i].whole += sign
		}
	}
}

// find returns the position of a seat's device among the node's; -1 if the node has it no more.
func find(n *nexus.Node, g nexus.SeatGPU) int {
	if i := g.Index; i >= 0 && i < len(n.GPUs) && n.GPUs[i].UUID == g.UUID && n.GPUs[i].Index == i {
		return i // as good as always
	}
	for i := range n.GPUs {
		d := &n.GPUs[i]
		if g.UUID != "" && d.UUID != "" {
			if g.UUID == d.UUID {
				return i
			}
		} else if g.Index == d.Index {
			return i
		}
	}
	return -1
}
