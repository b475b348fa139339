package elastic

import (
	"cmp"
	"slices"
)

// Agent is an agent as the others know it.
type Agent struct {
	ID      string `json:"id"`             // random, made when the agent started
	Node    string `json:"node"`           // name of its machine
	Addr    string `json:"addr"`           // host:port at which the other agents reach it
	Workers int    `json:"workers"`        // processes it starts
	Want    int    `json:"want,omitempty"` // group rank that it was told to have, plus 1; 0: none
}

// Term numbers those who lead: each who claims the lead takes a higher one. By settles two of one number.
type Term struct {
	N  int    `json:"n"`
	By string `json:"by"`
}

// Less orders terms.
func (t Term) Less(o Term) bool { return t.N < o.N || t.N == o.N && t.By < o.By }

// Record is a round as its members agreed on it. Members hold it before the round begins, and it is all that
// survives whoever led: the number, who takes part and the restarts used.
type Record struct {
	Term   Term    `json:"term"`
	Number int     `json:"number"` // from 0
	Agents []Agent `json:"agents"` // by group rank; the first one leads, unless ranks were asked for
	State  State   `json:"state"`  // the budget, this round paid for
	Why    string  `json:"why,omitempty"`
}

// Rank is an agent's group rank, or -1.
func (r *Record) Rank(id string) int {
	if r == nil {
		return -1
	}
	return slices.IndexFunc(r.Agents, func(a Agent) bool { return a.ID == id })
}

// World is the number of workers of the round, and First the global rank of an agent's first one.
func (r *Record) World() (workers int) {
	for _, a := range r.Agents {
		workers += a.Workers
	}
	return workers
}

// First is the global rank of the first worker of the agent with a group rank.
func (r *Record) First(group int) (rank int) {
	for _, a := range r.Agents[:group] {
		rank += a.Workers
	}
	return rank
}

// newer compares records that may be nil: a later number is newer, and of one number that of the later term.
func newer(a, b *Record) bool {
	switch {
	case a == nil:
		return false
	case b == nil:
		return true
	case a.Number != b.Number:
		return a.Number > b.Number
	}
	return b.Term.Less(a.Term)
}

// Seats gives group ranks to those who are present: survivors of the last round keep theirs as far as ranks are
// still 0..n-1, an asked-for rank comes before that, and lead takes rank 0 where that is free. The others fill what
// is left: survivors in their old order, then newcomers as they came.
func Seats(last *Record, present []Agent, lead string) []Agent {
	n := len(present)
	seats, rest := make([]Agent, n), slices.Clone(present)
	taken := make([]bool, n)
	sit := func(rank func(Agent) int) {
		rest = slices.DeleteFunc(rest, func(a Agent) bool {
			r := rank(a)
			if r < 0 || r >= n || taken[r] {
				return false
			}
			seats[r], taken[r] = a, true
			return true
		})
	}
	sit(func(a Agent) int { return a.Want - 1 })
	sit(func(a Agent) int { return last.Rank(a.ID) })
	sit(func(a Agent) int {
		if a.ID == lead {
			return 0
		}
		return -1
	})
	slices.SortStableFunc(rest, func(a, b Agent) int { return cmp.Compare(order(last, a), order(last, b)) })
	for r := range seats {
		if !taken[r] {
			seats[r], rest = rest[0], rest[1:]
		}
	}
	return seats
}

// order puts survivors before newcomers.
func order(last *Record, a Agent) int {
	if rank := last.Rank(a.ID); rank >= 0 {
		return rank
	}
	return 1 << 30
}

// Quorum reports whether so many of a round's agents may decide on the next one: more than half, or exactly half
// where each of the others was seen to die, or where takeover says that half will do.
func Quorum(of []Agent, here, dead func(id string) bool, takeover bool) bool {
	count, alldead := 0, true
	for _, a := range of {
		switch {
		case here(a.ID):
			count++
		case !dead(a.ID):
			alldead = false
		}
	}
	switch {
	case 2*count > len(of):
		return true
	case 2*count == len(of):
		return alldead || takeover
	}
	return false
}
