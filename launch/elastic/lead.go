package elastic

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

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

// member is an agent that follows us, or we ourselves.
type member struct {
	agent   Agent
	order   int
	running int
	leaving bool
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

func (l *lead) member(a Agent, running int) *member {
	x := l.members[a.ID]
	if x == nil {
		l.came++
		x = &member{order: l.came}
		l.members[a.ID] = x
	}
	x.agent, x.running = a, running
	return x
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

// joined counts on an agent, and tells it what it does not know yet.
func (m *Meeting) joined(from string, msg Message) {
	l := m.lead
	if msg.Agent == nil || msg.Agent.ID != from {
		return
	}
	if other := l.claimant(*msg.Agent); other != nil {
		if l.refused[from] {
			return
		}
		l.refused[from] = true
		m.send(from, Message{Kind: Refuse, Text: fmt.Sprintf("two nodes claim node rank %d: %s and %s", msg.Agent.Want-1, other.Node, msg.Agent.Node)})
		m.do(Say{Text: fmt.Sprintf("node %s was sent away: it claims node rank %d, as node %s does", msg.Agent.Node, msg.Agent.Want-1, other.Node)})
		return
	}
	if m.over != nil {
		m.send(from, Message{Kind: Over, Outcome: m.over, Number: m.number()})
		return
	}
	known := l.members[from] != nil
	x := l.member(*msg.Agent, msg.Running)
	x.leaving = msg.Leaving
	m.heed(msg)
	if m.role != Leading {
		return
	}
	if l.term.Less(msg.Term) {
		m.promised = higher(m.promised, msg.Term)
		m.raise()
	} else {
		l.votes[from] = true
	}
	if !known && m.base != nil {
		m.do(Say{Text: fmt.Sprintf("node %s is here", x.agent.Node)})
	}
	if m.base.Rank(from) >= 0 && msg.Running == m.number() && l.stop > StopNone {
		m.send(from, Message{Kind: Halt, Number: m.number(), Stop: l.stop, Text: l.why})
	}
	if m.base.Rank(from) >= 0 && msg.Number == m.number() && msg.Running < 0 && msg.Report != nil && !l.judged {
		l.took(m, from, msg.Number, msg.Report)
	}
	if l.offer != nil && l.offer.Rank(from) >= 0 && !l.accepted[from] {
		m.send(from, m.offering())
	}
}

// claimant is the other agent that wants the same rank.
func (l *lead) claimant(a Agent) *Agent {
	for _, x := range l.members {
		if a.Want > 0 && x.agent.Want == a.Want && x.agent.ID != a.ID {
			return &x.agent
		}
	}
	return nil
}

// took notes how the round ended on a node.
func (l *lead) took(m *Meeting, from string, number int, r *Report) {
	x := l.members[from]
	if x == nil || number != m.number() || r == nil {
		return
	}
	counted := x.running < 0 && slices.ContainsFunc(l.failures, func(b blame) bool { return b.node == x.agent.Node && b.report.Rank == r.Rank })
	x.running = -1
	if r.Cause != "" && !counted && !l.judged {
		l.failures = append(l.failures, blame{node: x.agent.Node, report: *r, at: m.now - r.Age})
	}
	if !r.OK && l.why == "" {
		m.halt(StopFail, "a worker failed on node "+x.agent.Node)
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

// ids are the members', in the order in which they came.
func (l *lead) ids() []string {
	ids := make([]string, 0, len(l.members))
	for id := range l.members {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b string) int { return cmp.Compare(l.members[a].order, l.members[b].order) })
	return ids
}

func (m *Meeting) lostMember(id string, how How) {
	l := m.lead
	x := l.members[id]
	if x == nil {
		return
	}
	delete(l.members, id)
	delete(l.votes, id)
	if l.offer.Rank(id) >= 0 {
		l.offer = nil
	}
	if m.over != nil {
		return
	}
	if how != Goodbye {
		l.flaps[x.agent.Node]++
	}
	if m.base.Rank(id) < 0 {
		m.do(Say{Text: fmt.Sprintf("node %s %s before it took part", x.agent.Node, lostHow(how))})
		return
	}
	text := fmt.Sprintf("node %s %s", x.agent.Node, lostHow(how))
	m.do(Say{Text: text})
	if !l.judged {
		l.lost = append(l.lost, x.agent.Node)
		m.halt(StopFail, text)
	}
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

// resize ends a healthy round for those who want to come or go.
func (m *Meeting) resize() {
	l := m.lead
	if l.stop >= StopSave {
		return
	}
	var newcomers, leavers []string
	patience := time.Duration(0)
	for _, id := range l.ids() {
		x := l.members[id]
		switch inside := m.base.Rank(id) >= 0; {
		case inside && x.leaving, id == m.self.ID && m.leaving:
			leavers = append(leavers, x.agent.Node)
		case !inside && !x.leaving:
			newcomers = append(newcomers, x.agent.Node)
			if flaps := l.flaps[x.agent.Node]; flaps > 0 { // a node that dies again and again costs the others a round each time
				patience = max(patience, min(5*time.Minute, time.Second<<min(flaps, 16)))
			}
		}
	}
	m.sendAway()
	room := m.set.Max - len(m.base.Agents)
	if len(newcomers) < room {
		patience = max(patience, m.set.LastCall) // more may come
	}
	switch {
	case len(leavers) > 0:
		m.halt(StopSave, "node "+strings.Join(leavers, ", ")+" leaves")
	case len(newcomers) == 0 || room <= 0:
		l.resizeAt = 0
	case l.resizeAt == 0:
		l.resizeAt = m.now + patience
	case m.now >= l.resizeAt:
		l.resizeAt = 0
		m.halt(StopSave, "node "+strings.Join(newcomers[:min(room, len(newcomers))], ", ")+" joins")
	}
}

// sendAway lets those go who want to and run nothing.
func (m *Meeting) sendAway() {
	for _, id := range m.lead.ids() {
		if x := m.lead.members[id]; x.leaving && x.running < 0 && id != m.self.ID {
			m.send(id, Message{Kind: Bye, Leaving: true, Number: m.number(), Running: -1})
			m.lead.left[id] = true
			delete(m.lead.members, id)
		}
	}
}
