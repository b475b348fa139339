package elastic

import "time"

// lead is what the leader keeps.
type lead struct {
	term    Term
	votes   map[string]bool // of the last round's agents, for this term
	pending *Record         // a round of another leader that may have been agreed: its agents have a say too
	members map[string]*member
	came    int // members so far
	number  int // of the next round

	offer    *Record
	accepted map[string]bool
	store    string
	offered  time.Duration

	// Of the round that runs, or ran last.
	began    time.Duration
	judged   bool // what follows is decided
	stop     Stop
	lost     []string        // names of nodes that went away
	left     map[string]bool // agents that we let go: they agreed to whatever we do then
	failures []blame
	why      string // there is to be another round

	next     State
	at       time.Duration // not before
	gather   time.Duration // until then those who may still come are waited for
	callEnds time.Duration
	resizeAt time.Duration
	lingers  time.Duration
	flaps    map[string]int // losses by node
	told     string         // what was said last on waiting
	refused  map[string]bool
}

// blame is a failure on a node and when it was, by our clock.
type blame struct {
	node   string
	report Report
	at     time.Duration
}

// host takes the lead of those who will come, unless there is a round to take up.
func (m *Meeting) host() {
	m.hosts = true
	if m.role == Seeking && m.base == nil && m.pending == nil && !m.veterans() {
		m.takeLead(Term{N: m.promised.N + 1, By: m.self.ID}, map[string]bool{m.self.ID: true}, nil, 0)
		m.lead.at = m.now + m.set.Notice
	}
}

func (m *Meeting) takeLead(term Term, votes map[string]bool, pending *Record, number int) {
	m.role, m.leader, m.claim, m.promised = Leading, "", nil, term
	m.lead = &lead{
		term: term, votes: votes, number: number, members: map[string]*member{}, left: map[string]bool{}, flaps: map[string]int{}, refused: map[string]bool{},
		began: m.now, pending: pending, next: State{RestartsLeft: m.set.Budget},
	}
	l := m.lead
	l.member(m.self, m.running)
	if m.base != nil {
		l.next, l.gather, l.why = m.base.State, m.now+m.set.Gather, "the leader changed"
		for _, a := range m.base.Agents {
			if m.gone[a.ID] != 0 {
				l.lost = append(l.lost, a.Node)
			}
		}
		m.end(StopFail, "the leader changed")
	}
	m.began = m.now
	m.toAll(m.status())
}

// stepDown ends a lead that has no majority behind it, or another one ahead.
func (m *Meeting) stepDown(why string) {
	m.end(StopKill, why)
	m.seekAgain()
	m.claimAt = max(m.claimAt, m.now+m.set.Retry)
}

// raise takes a higher term, for which everybody has to vote anew.
func (m *Meeting) raise() {
	m.lead.term = Term{N: m.promised.N + 1, By: m.self.ID}
	m.promised = m.lead.term
	m.lead.offer = nil
	m.lead.votes = map[string]bool{m.self.ID: true}
	m.toAll(Message{Kind: Claim, Term: m.lead.term, Number: m.number(), Running: m.running})
}

// heed looks at what an agent knows that follows us, or votes for us: a round of another leader that we had not heard
// of may have been agreed.
func (m *Meeting) heed(msg Message) {
	l := m.lead
	m.heedFirst(msg.First)
	if newer(msg.Base, m.base) {
		m.stepDown("a later round was agreed without us")
		m.base = msg.Base
		return
	}
	if p := msg.Pending; p != nil && newer(p, m.base) && p.Term.By != m.self.ID && (l.pending == nil || l.pending.Term.Less(p.Term)) {
		l.pending, l.offer, l.number = p, nil, max(l.number, p.Number+1)
	}
}

func (m *Meeting) gotAsLeader(from string, msg Message) {
	l := m.lead
	switch msg.Kind {
	case Join:
		m.joined(from, msg)
	case Accept:
		if l.offer != nil && msg.Number == l.offer.Number && msg.Term == l.offer.Term {
			l.accepted[from] = true
		}
	case Failure:
		if msg.Number == m.number() && !l.judged {
			m.halt(StopFail, "a worker failed on node "+m.peers[from].Node)
		}
	case Ended:
		l.took(m, from, msg.Number, msg.Report)
	}
}

// halt ends the round everywhere.
func (m *Meeting) halt(how Stop, why string) {
	l := m.lead
	if how <= l.stop || m.base == nil || l.judged {
		return
	}
	l.stop = how
	if l.why == "" {
		l.why = why
	}
	for _, id := range l.ids() {
		if x := l.members[id]; m.base.Rank(id) >= 0 && x.running >= 0 && id != m.self.ID {
			m.send(id, Message{Kind: Halt, Number: m.base.Number, Stop: how, Text: why})
		}
	}
	m.end(how, why)
}

// majority reports whether the last round's agents are behind us.
func (m *Meeting) majority() bool {
	l := m.lead
	return m.enough(m.base, l.pending, func(id string) bool { return id == m.self.ID || l.votes[id] || l.left[id] })
}

// leadOn takes the next step, whatever it is.
func (m *Meeting) leadOn() {
	l := m.lead
	switch {
	case m.over != nil:
		if len(m.peers) == 0 || m.now >= l.lingers {
			m.finish(*m.over)
		}
	case !m.majority() && !m.voting():
		m.do(Say{Text: "too few of the last round's nodes are left to go on without the others; waiting for them"})
		m.stepDown("too few of the other nodes are left")
	case m.base != nil && !l.judged:
		m.resize()
		if m.allEnded() {
			m.judge()
			if m.over == nil {
				m.leadOn()
			}
		}
	case l.offer != nil:
		m.commit()
	case m.leaving:
		if m.now >= m.fence { // who leads next does not know of a silence before its time
			m.handOver()
		}
	default:
		m.sendAway()
		m.propose()
	}
}

// voting reports whether votes for a raised term are still to come from linked agents.
func (m *Meeting) voting() bool {
	return m.enough(m.base, m.lead.pending, func(id string) bool { return m.linked(id) || m.lead.left[id] })
}

// allEnded reports whether no worker of the round lives on any node that is left.
func (m *Meeting) allEnded() bool {
	if m.running >= 0 {
		return false
	}
	for id, x := range m.lead.members {
		if m.base.Rank(id) >= 0 && x.running >= 0 {
			return false
		}
	}
	return true
}
