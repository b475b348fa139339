package elastic

import (
	"strings"
	"time"
)

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
