package elastic

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"ainexus.io/nexus"
)

// offerTimeout is how long an agent may take to accept a round.
const offerTimeout = 10 * time.Second

// judge says what follows a round that has ended everywhere.
func (m *Meeting) judge() {
	l := m.lead
	l.judged, l.stop, l.resizeAt, l.told = true, StopNone, 0, ""
	m.began = m.now
	state := m.base.State
	l.next = State{Round: state.Round, RestartsLeft: state.RestartsLeft, Streak: state.Streak}
	l.at = m.now
	switch {
	case len(l.lost) > 0:
		// What the others did then was its doing. The budget does not pay for nodes.
		l.why = gone(unique(l.lost))
	case len(l.failures) > 0:
		first := root(l.failures)
		d := Decide(state, Ending{Cause: first.report.Cause, Lasted: m.now - l.began}, m.set.Restart, m.set.Backoff)
		o := Outcome{Report: first.report, Node: first.node}
		o.Message, o.Fault = on(first), withLater(first, l.failures)
		if !d.Again {
			if d.Because != "" {
				o.Message += "; " + d.Because
			}
			m.isOver(o)
			return
		}
		l.why, l.next, l.at = o.Message, d.Next, m.now+d.Wait
	case l.why == "":
		m.isOver(Outcome{Report: Report{OK: true, Rank: -1, Message: fmt.Sprintf("%s on %s ended well after %s",
			count(m.base.World(), "worker"), count(len(m.base.Agents), "node"), (m.now - l.began).Round(time.Millisecond))}})
		return
	}
	m.do(Say{Text: fmt.Sprintf("%s; another round begins, %s left", l.why, count(l.next.RestartsLeft, "restart"))})
}

// count is "1 node" or "2 nodes".
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func gone(names []string) string {
	if len(names) == 1 {
		return "node " + names[0] + " is gone"
	}
	return "nodes " + strings.Join(names, ", ") + " are gone"
}

func unique(names []string) []string {
	names = slices.Clone(names)
	slices.Sort(names)
	return slices.Compact(names)
}

// on names the node in a failure's message, once.
func on(b blame) string {
	who, rest, ok := strings.Cut(b.report.Message, " ")
	rank, rest, ok2 := strings.Cut(rest, " ")
	if !ok || !ok2 || who != "rank" {
		return fmt.Sprintf("node %s: %s", b.node, b.report.Message)
	}
	return fmt.Sprintf("rank %s on node %s %s", rank, b.node, rest)
}

// root picks the failure that came first among those for which most speaks.
func root(failures []blame) blame {
	return slices.MinFunc(failures, func(a, b blame) int {
		if a.report.Proof != b.report.Proof {
			return int(b.report.Proof - a.report.Proof)
		}
		return cmp.Compare(a.at, b.at)
	})
}

// withLater is the fault of the first failure, with those on other nodes counted.
func withLater(first blame, failures []blame) *nexus.Fault {
	if first.report.Fault == nil {
		return nil
	}
	fault := *first.report.Fault
	fault.Later = len(failures) - 1
	for _, b := range failures {
		if b.report.Fault != nil {
			fault.Later += b.report.Fault.Later
		}
	}
	return &fault
}

func (m *Meeting) isOver(o Outcome) {
	m.over, m.lead.lingers = &o, m.now+m.set.Linger
	m.toAll(Message{Kind: Over, Outcome: &o, Number: m.number(), Running: -1})
	if len(m.peers) == 0 {
		m.finish(o)
	}
}

// propose offers the next round once it can begin.
func (m *Meeting) propose() {
	l := m.lead
	if !m.allEnded() || m.base == nil && m.veterans() {
		return
	}
	present := m.present()
	if len(present) < m.set.Min || !slices.ContainsFunc(present, func(a Agent) bool { return a.ID == m.self.ID }) {
		l.callEnds = 0
		if m.now-m.began >= m.set.JoinTimeout {
			m.isOver(Outcome{Report: Report{Rank: -1, Exit: 1, Cause: nexus.CauseNode,
				Message: fmt.Sprintf("%d of %d nodes came within %s", len(present), m.set.Min, m.set.JoinTimeout)}})
			return
		}
		m.waitFor(fmt.Sprintf("%d of %d nodes are here; waiting for the others, at most %s", len(present), m.set.Min, m.set.JoinTimeout))
		return
	}
	if m.now < l.at || m.now < m.fence || !m.majority() {
		return
	}
	if m.base == nil && len(present) < m.set.Max {
		if l.callEnds == 0 {
			l.callEnds = m.now + m.set.LastCall
			m.waitFor(fmt.Sprintf("%d of %d nodes are here, which is enough; waiting %s for more", len(present), m.set.Max, m.set.LastCall))
		}
		if m.now < l.callEnds {
			return
		}
	}
	if missing := m.awaited(); len(missing) > 0 {
		if m.now < l.gather {
			return
		}
		for _, id := range missing {
			m.noAnswer(id, Silent)
		}
		return
	}
	m.offer(present)
	m.do(Open{Number: l.offer.Number})
	m.commit()
}

// handOver agrees with those who stay that they are all there is, so that they can go on without us, and goes.
func (m *Meeting) handOver() {
	present := m.present()
	if len(present) == 0 || m.base == nil {
		m.finish(Outcome{Report: Report{Rank: -1}, Left: true})
		return
	}
	m.offer(present)
}

// offering is the message with the round that is offered, and with what else may have been agreed.
func (m *Meeting) offering() Message {
	l := m.lead
	msg := Message{Kind: Offer, Record: l.offer, Base: m.base, Term: l.term, Number: l.offer.Number, Running: -1}
	if m.base == nil {
		msg.First = m.first
	}
	return msg
}

func (m *Meeting) offer(present []Agent) {
	l := m.lead
	next := l.next
	next.Round = l.number
	l.offer = &Record{Term: l.term, Number: l.number, Agents: Seats(m.base, present, m.self.ID), State: next, Why: l.why}
	l.number++
	l.accepted, l.store, l.offered = map[string]bool{m.self.ID: true}, "", m.now
	m.hold(l.offer)
	for _, a := range l.offer.Agents {
		m.send(a.ID, m.offering())
	}
}

// veterans reports whether somebody is linked who knows of a round: then ours is not to be the first.
func (m *Meeting) veterans() bool {
	for id := range m.peers {
		if m.numbers[id] >= 0 {
			return true
		}
	}
	return false
}

// hold keeps a round that may come to be agreed. Before there is a first one, each that was offered counts: nothing
// else says who has a say.
func (m *Meeting) hold(r *Record) {
	m.pending = r
	if m.base == nil {
		m.heedFirst([]*Record{r})
	}
}

// heedFirst adds to the rounds that were offered before any was agreed.
func (m *Meeting) heedFirst(offered []*Record) {
	for _, r := range offered {
		known := func(o *Record) bool { return o.Term == r.Term && o.Number == r.Number }
		if r != nil && !slices.ContainsFunc(m.first, known) {
			m.first = append(m.first, r)
		}
	}
}

// waitFor says once what is waited for.
func (m *Meeting) waitFor(text string) {
	if m.lead.told != text {
		m.lead.told = text
		m.do(Say{Text: text})
	}
}

// present are those who can take part: survivors by rank, then newcomers as they came, at most Max.
func (m *Meeting) present() []Agent {
	l := m.lead
	var list []Agent
	for _, id := range l.ids() {
		if x := l.members[id]; x.running < 0 && !x.leaving && !(id == m.self.ID && m.leaving) {
			list = append(list, x.agent)
		}
	}
	if i := slices.IndexFunc(list, func(a Agent) bool { return a.ID == m.self.ID }); i >= 0 {
		list[i] = m.self // its address may have become known since
	}
	slices.SortStableFunc(list, func(a, b Agent) int { return order(m.base, a) - order(m.base, b) })
	if len(list) > m.set.Max {
		// The leader itself takes part in any case: the store is with it.
		own := slices.IndexFunc(list, func(a Agent) bool { return a.ID == m.self.ID })
		if own >= m.set.Max {
			list[m.set.Max-1] = list[own]
		}
		list = list[:m.set.Max]
	}
	return list
}

// awaited are the last round's agents that may still come to a new leader.
func (m *Meeting) awaited() (ids []string) {
	if m.base == nil || m.lead.gather == 0 {
		return nil
	}
	for _, a := range m.base.Agents {
		if m.lead.members[a.ID] == nil && m.gone[a.ID] == 0 && !m.lead.left[a.ID] {
			ids = append(ids, a.ID)
		}
	}
	return ids
}

// commit begins the offered round once everybody holds it.
func (m *Meeting) commit() {
	l := m.lead
	r := l.offer
	for _, a := range r.Agents {
		if !l.accepted[a.ID] {
			if m.now-l.offered >= offerTimeout {
				m.do(Say{Text: fmt.Sprintf("node %s does not answer", a.Node)})
				m.do(Drop{ID: a.ID})
				m.down(a.ID, Silent)
			}
			return
		}
	}
	going := r.Rank(m.self.ID) < 0
	if l.store == "" && !going {
		return
	}
	if !m.enough(m.base, l.pending, func(id string) bool { return l.accepted[id] || l.left[id] }) {
		m.stepDown("too few of the other nodes are left")
		return
	}
	for _, a := range r.Agents {
		m.send(a.ID, Message{Kind: Start, Record: r, Term: r.Term, Number: r.Number, Store: l.store, Running: -1})
		if x := l.members[a.ID]; x != nil {
			x.running = r.Number
		}
		l.votes[a.ID] = true
	}
	if going {
		m.base = r
		m.tellWaiting(r)
		m.finish(Outcome{Report: Report{Rank: -1}, Left: true})
		return
	}
	clear(m.gone)
	clear(l.left)
	l.offer, l.pending, l.judged, l.stop, l.lost, l.failures, l.why, l.callEnds, l.gather = nil, nil, false, StopNone, nil, nil, "", 0, 0
	l.began = m.now
	m.begin(r, l.store)
	m.tellWaiting(r)
}

// tellWaiting tells those who wait of a round that they are not in, so that they know of it and whom to ask.
func (m *Meeting) tellWaiting(r *Record) {
	for _, id := range m.Peers() {
		if r.Rank(id) < 0 {
			m.send(id, m.status())
		}
	}
}
