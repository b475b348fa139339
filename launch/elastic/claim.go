package elastic

import (
	"fmt"
	"slices"
	"time"
)

// claim is an agent's wish to lead, and who agrees.
type claim struct {
	term    Term
	votes   map[string]bool
	asked   map[string]bool
	base    *Record
	pending *Record
}

// seek looks for the others, and claims the lead where so many of them are there that it could be given.
func (m *Meeting) seek() {
	m.claimAt = m.now + m.set.Retry + m.turns()*m.set.Turn/2
	if m.now-m.began >= m.set.JoinTimeout {
		m.giveUp()
		return
	}
	m.forget()
	if m.base == nil && m.pending == nil { // the endpoint is all that we know
		if m.hosts {
			m.host()
		}
		return
	}
	for _, a := range m.known() {
		if _, linked := m.peers[a.ID]; !linked {
			m.do(Dial{Agent: a})
		}
	}
	m.promise = 0
	m.claim = &claim{votes: map[string]bool{m.self.ID: true}, asked: map[string]bool{}, base: m.base, pending: m.pending}
	m.tryClaim()
}

// forget drops what we only heard of, once nobody who ran it is left: the job begins anew.
func (m *Meeting) forget() {
	if m.base == nil || m.base.Rank(m.self.ID) >= 0 || m.pending.Rank(m.self.ID) >= 0 {
		return
	}
	for _, a := range m.base.Agents {
		if how := m.gone[a.ID]; how != Reset && how != Goodbye {
			return
		}
	}
	m.base, m.pending, m.first, m.report = nil, nil, nil, nil
	m.toAll(m.status())
}

// known are the others of the last round, and of one that may have been agreed.
func (m *Meeting) known() (list []Agent) {
	seen := map[string]bool{m.self.ID: true}
	for _, r := range []*Record{m.base, m.pending} {
		if r == nil {
			continue
		}
		for _, a := range r.Agents {
			if !seen[a.ID] {
				seen[a.ID] = true
				list = append(list, a)
			}
		}
	}
	return list
}

// enough reports whether so many agents may decide what follows: on the last round and on one that may have followed it.
func (m *Meeting) enough(base, pending *Record, here func(string) bool) bool {
	dead := func(id string) bool { return m.gone[id] == Reset || m.gone[id] == Goodbye }
	old := []*Record{base}
	if base == nil {
		old = m.first
	}
	if newer(pending, base) {
		old = append(slices.Clone(old), pending)
	}
	for _, r := range old {
		if r != nil && !Quorum(r.Agents, here, dead, m.set.Takeover) {
			return false
		}
	}
	return true
}

// tryClaim asks for votes as soon as they could be enough. A term is only used up then: who is cut off must not
// come back with a higher one than everybody's.
func (m *Meeting) tryClaim() {
	c := m.claim
	if c == nil || c.term.N > 0 {
		return
	}
	if !m.enough(c.base, c.pending, m.linked) {
		return
	}
	c.term = Term{N: m.promised.N + 1, By: m.self.ID}
	m.promised = c.term
	for _, a := range m.known() {
		m.ask(a.ID)
	}
	m.count()
}

func (m *Meeting) ask(id string) {
	if m.claim.term.N > 0 {
		if _, linked := m.peers[id]; !linked || m.claim.asked[id] {
			return
		}
		m.claim.asked[id] = true
		m.send(id, Message{Kind: Claim, Term: m.claim.term, Number: m.number(), Running: m.running})
	} else {
		m.tryClaim()
	}
}

// claimed answers one who wants to lead. Who follows somebody does not help to overthrow it.
func (m *Meeting) claimed(from string, msg Message) {
	if m.role != Seeking && !(m.role == Following && m.leader == from) || !m.promised.Less(msg.Term) {
		m.send(from, Message{Kind: Deny, Term: m.promised, Number: m.number(), Running: m.running})
		m.send(from, m.status())
		return
	}
	m.promised, m.claim = msg.Term, nil
	wait := 2*m.set.Retry + m.turns()*m.set.Turn
	m.promise, m.claimAt = m.now+wait, m.now+wait
	m.send(from, Message{Kind: Promise, Term: msg.Term, Number: m.number(), Base: m.base, Pending: m.pending, First: m.first, Running: m.running, Report: m.report})
}

// answered counts a vote, or notes that there is a higher term.
func (m *Meeting) answered(from string, msg Message) {
	if msg.Kind == Deny {
		m.promised.N = max(m.promised.N, msg.Term.N)
		if m.lead != nil && m.lead.term.N <= msg.Term.N {
			m.raise()
		}
		return
	}
	if l := m.lead; l != nil && l.term == msg.Term {
		m.heed(msg)
		l.votes[from] = true
		return
	}
	c := m.claim
	if c == nil || c.term != msg.Term {
		return
	}
	c.votes[from] = true
	m.heedFirst(msg.First)
	if newer(msg.Base, c.base) {
		c.base = msg.Base
	}
	if p := msg.Pending; p != nil && (c.pending == nil || c.pending.Term.Less(p.Term) || p.Term == c.pending.Term && p.Number > c.pending.Number) {
		c.pending = p
	}
	m.count()
}

// count takes the lead where the votes are enough. What the voters know is from now on our own knowledge.
func (m *Meeting) count() {
	c := m.claim
	voted := func(id string) bool { return c.votes[id] && m.linked(id) }
	if newer(c.base, m.base) {
		m.base = c.base
	}
	if !m.enough(c.base, c.pending, voted) {
		for _, r := range []*Record{c.base, c.pending} {
			m.callAll(r)
		}
		return
	}
	next := m.number()
	if c.pending != nil {
		next = max(next, c.pending.Number)
	}
	m.takeLead(c.term, c.votes, c.pending, next+1)
}

// callAll asks those who turn out to have a say.
func (m *Meeting) callAll(r *Record) {
	if r == nil {
		return
	}
	for _, a := range r.Agents {
		_, linked := m.peers[a.ID]
		switch {
		case a.ID == m.self.ID:
		case linked:
			m.ask(a.ID)
		case m.gone[a.ID] == 0:
			m.do(Dial{Agent: a})
		}
	}
}

// giveUp says what was missing.
func (m *Meeting) giveUp() {
	o := Outcome{Report: Report{Rank: -1, Exit: 1, Cause: "node"}}
	if m.base == nil {
		o.Message = fmt.Sprintf("no round came about within %s", m.set.JoinTimeout)
	} else {
		linked := 1
		for _, a := range m.base.Agents {
			if _, ok := m.peers[a.ID]; ok {
				linked++
			}
		}
		o.Message = fmt.Sprintf("only %d of the %d nodes of round %d were to be found within %s, too few to go on without the others (hint: --rdzv-conf takeover=any lets half of them)",
			linked, len(m.base.Agents), m.base.Number, m.set.JoinTimeout.Round(time.Millisecond))
	}
	m.finish(o)
}
