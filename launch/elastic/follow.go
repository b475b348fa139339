package elastic

import "time"

// got takes a message from a linked agent.
func (m *Meeting) got(from string, msg Message) {
	if _, linked := m.peers[from]; !linked {
		return
	}
	switch msg.Kind {
	case Status:
		m.numbers[from] = msg.Number
		m.heard(from, msg)
	case Claim:
		m.claimed(from, msg)
	case Promise, Deny:
		m.answered(from, msg)
	case Bye:
		m.bye(from, msg)
	default:
		switch {
		case m.role == Leading:
			m.gotAsLeader(from, msg)
		case m.role == Following && m.leader == from:
			m.gotFromLeader(msg)
		}
	}
}

// heard weighs what another agent is to the rest.
func (m *Meeting) heard(from string, msg Message) {
	switch msg.Role {
	case Leading:
		if msg.Base != nil && msg.Base.Number != msg.Number {
			return
		}
		switch {
		case m.role == Leading && m.yields(msg):
			m.stepDown("another leader is ahead")
			m.follow(from, msg)
		case m.role == Leading:
			if !msg.Leaving { // said once, or two leaders would never fall silent
				again := m.status()
				again.Leaving = true
				m.send(from, again)
			}
		case m.role == Following && m.leader == from:
			m.promised = higher(m.promised, msg.Term)
			if newer(msg.Base, m.base) && m.running < 0 {
				m.base, m.report = msg.Base, nil
			}
			m.join()
		case m.role == Seeking && m.mayFollow(msg):
			m.follow(from, msg)
		}
	case Following:
		if m.role == Following && m.leader == from {
			m.lostLeader(m.peers[from].Node, Silent) // it gave way to one that is ahead of us all
		}
		if msg.Leader == nil || msg.Leader.ID == m.self.ID || m.role == Following || m.role == Leading && m.base != nil {
			return
		}
		if _, linked := m.peers[msg.Leader.ID]; !linked {
			m.do(Dial{Agent: *msg.Leader})
		}
	case Seeking:
		if m.role == Following && m.leader == from {
			m.lostLeader(m.peers[from].Node, Silent) // it has no majority: neither have we
		} else if m.role != Seeking {
			m.send(from, m.status())
		}
	}
}

// mayFollow reports whether a leader knows all that we know.
func (m *Meeting) mayFollow(msg Message) bool {
	switch {
	case msg.Number != m.number():
		return msg.Number > m.number()
	case msg.Term.Less(m.promised):
		return m.now >= m.promise
	}
	return true
}

// yields reports whether another leader is ahead of us.
func (m *Meeting) yields(msg Message) bool {
	if msg.Number != m.number() {
		return msg.Number > m.number()
	}
	return m.lead.term.Less(msg.Term)
}

// follow counts on a leader. Its last round is ours to remember from now on: who has heard of one does not begin anew
// without those who ran it.
func (m *Meeting) follow(id string, msg Message) {
	m.role, m.leader, m.claim = Following, id, nil
	m.promised = higher(m.promised, msg.Term)
	if newer(msg.Base, m.base) {
		m.base, m.report = msg.Base, nil
	}
	m.join()
	for _, other := range m.Peers() {
		if other != id {
			m.send(other, m.status())
		}
	}
}

// join tells the leader all that it has to know of us. It may be said again at any time.
func (m *Meeting) join() {
	self := m.self
	m.send(m.leader, Message{
		Kind: Join, Agent: &self, Term: m.promised, Number: m.number(), Base: m.base, Running: m.running,
		Pending: m.pending, First: m.first, Report: m.report, Leaving: m.leaving,
	})
}

func higher(a, b Term) Term {
	if a.Less(b) {
		return b
	}
	return a
}

func (m *Meeting) gotFromLeader(msg Message) {
	switch msg.Kind {
	case Refuse:
		m.finish(Outcome{Report: Report{Rank: -1, Exit: 1, Message: msg.Text}})
	case Offer:
		if r := msg.Record; r != nil && r.Rank(m.self.ID) >= 0 && !r.Term.Less(m.promised) && r.Number > m.number() && m.running < 0 {
			if newer(msg.Base, m.base) {
				m.base = msg.Base // so that we know who has a say, should the leader be lost
			}
			m.promised = r.Term
			m.heedFirst(msg.First)
			m.hold(r)
			m.send(m.leader, Message{Kind: Accept, Term: r.Term, Number: r.Number, Running: -1})
		}
	case Start:
		r := msg.Record
		if m.pending != nil && r != nil && r.Number == m.pending.Number && r.Term == m.pending.Term && m.running < 0 {
			if msg.Store == "" { // the leader goes, and leaves us to ourselves
				m.base, m.pending, m.report = r, nil, nil
				return
			}
			m.begin(r, msg.Store)
		}
	case Halt:
		if msg.Number == m.running {
			m.end(msg.Stop, msg.Text)
		}
	case Over:
		if msg.Outcome != nil {
			m.finish(*msg.Outcome)
		}
	}
}

// begin takes a round for agreed.
func (m *Meeting) begin(r *Record, store string) {
	m.base, m.pending, m.first, m.running, m.report, m.stopped = r, nil, nil, r.Number, nil, StopNone
	m.do(Begin{Record: r, Group: r.Rank(m.self.ID), Store: store})
}

func (m *Meeting) failed(number int) {
	switch {
	case number != m.running:
	case m.role == Following:
		m.send(m.leader, Message{Kind: Failure, Number: number, Running: m.running})
	case m.role == Leading:
		m.halt(StopFail, "a worker failed")
	}
}

// closed notes that no process of the round is left here.
func (m *Meeting) closed(number int, r Report) {
	if number != m.running {
		return
	}
	m.running, m.report = -1, &r
	switch m.role {
	case Following:
		m.send(m.leader, Message{Kind: Ended, Number: number, Running: -1, Report: &r})
	case Leading:
		m.lead.took(m, m.self.ID, number, &r)
	}
}

func (m *Meeting) leave() {
	m.leaving = true
	switch m.role {
	case Following:
		m.join()
		m.end(StopSave, "this node leaves")
	case Seeking:
		m.end(StopKill, "this node leaves")
	}
}

func (m *Meeting) bye(from string, msg Message) {
	if msg.Leaving && m.role == Following && m.leader == from && m.leaving {
		m.finish(Outcome{Report: Report{Rank: -1}, Left: true})
		return
	}
	m.down(from, Goodbye)
}

// lostLeader begins to look for another one, and ends what was run for the old.
func (m *Meeting) lostLeader(node string, how How) {
	stop := StopFail
	if how == Silent {
		stop = StopKill // it may be that we are the ones who are cut off
	}
	text := "node " + node + ", which led, " + lostHow(how)
	m.do(Say{Text: text + "; looking for the others"})
	m.end(stop, text)
	m.seekAgain()
}

// seekAgain lets survivors claim one after the other, the last rank first: it is the one that fills the first
// one's place, where the others keep theirs.
func (m *Meeting) seekAgain() {
	m.role, m.leader, m.lead, m.claim, m.began = Seeking, "", nil, nil, m.now
	m.claimAt = m.now + m.turns()*m.set.Turn
	m.toAll(m.status())
}

func (m *Meeting) turns() time.Duration {
	if m.base == nil {
		return 0
	}
	own, turns := m.base.Rank(m.self.ID), time.Duration(0)
	for rank, a := range m.base.Agents {
		if rank > own && m.gone[a.ID] != Reset {
			turns++
		}
	}
	return turns
}

func lostHow(how How) string {
	switch how {
	case Silent:
		return "is not heard of any more"
	case Goodbye:
		return "left"
	}
	return "died"
}
