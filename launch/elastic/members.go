package elastic

import (
	"cmp"
	"fmt"
	"slices"
)

// member is an agent that follows us, or we ourselves.
type member struct {
	agent   Agent
	order   int
	running int
	leaving bool
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
