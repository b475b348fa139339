package collective

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"
)

// verdictKind is what broke a group.
type verdictKind string

const (
	verdictPeer     verdictKind = "peer"
	verdictTimeout  verdictKind = "timeout"
	verdictMismatch verdictKind = "mismatch"
)

// verdict is why a group is broken, as it travels from rank to rank.
type verdict struct {
	Kind    verdictKind   `json:"kind"`
	Rank    int           `json:"rank"`
	Reason  string        `json:"reason,omitempty"`
	Op      string        `json:"op,omitempty"`
	After   time.Duration `json:"after,omitempty"`
	Missing []int         `json:"missing,omitempty"`
	Silent  []int         `json:"silent,omitempty"`
}

func (v *verdict) err() error {
	switch v.Kind {
	case verdictTimeout:
		return &TimeoutError{Op: v.Op, After: v.After, Missing: v.Missing, Silent: v.Silent}
	case verdictMismatch:
		return fmt.Errorf("the ranks call different collectives: %s", v.Reason)
	}
	return &PeerError{Rank: v.Rank, Reason: v.Reason}
}

// inquiry asks every rank how far it is. It floods the links; each rank answers towards where it heard it first.
type inquiry struct {
	From int    `json:"from"`
	Seq  uint64 `json:"seq"` // the collective that is overdue
}

// answer goes back along the inquiry's way.
type answer struct {
	Inquiry inquiry `json:"inquiry"`
	Rank    int     `json:"rank"`
	Entered uint64  `json:"entered"` // the collective the rank is in or did last
	Doing   string  `json:"doing"`   // the same in words
}

// news is what a group knows from inquiries.
type news struct {
	mu      sync.Mutex
	routes  map[inquiry]*link // where an inquiry came from
	asked   uint64            // the newest collective that somebody else asked about
	answers []*answer         // by rank, during an inquiry of ours; nil where there is none yet
	whole   chan struct{}     // closed when all have answered
	missing int
}

// listen reads a neighbour's control connection until it ends, and judges that end.
func (g *Group) listen(l *link) {
	for {
		m, err := l.hear()
		switch {
		case err != nil:
			if !g.closing.Load() && !l.left.Load() {
				g.fail(verdict{Kind: verdictPeer, Rank: l.peer, Reason: "died: " + endOf(err)}, l)
			}
			return
		case m.Verdict != nil:
			g.fail(*m.Verdict, l)
		case m.Bye:
			l.left.Store(true)
		case m.Ask != nil:
			g.asked(*m.Ask, l)
		case m.Answer != nil:
			g.answered(*m.Answer)
		}
	}
}

func endOf(err error) string {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "connection closed"
	}
	return err.Error()
}

// asked answers an inquiry and passes it on, once.
func (g *Group) asked(q inquiry, from *link) {
	g.news.mu.Lock()
	_, known := g.news.routes[q]
	if q.From == g.rank {
		known = true
	}
	if !known {
		g.news.routes[q] = from
		g.news.asked = max(g.news.asked, q.Seq)
	}
	g.news.mu.Unlock()
	if known {
		return
	}
	for _, l := range g.links {
		if l != from {
			l.tell(message{Ask: &q})
		}
	}
	h, _, _ := g.doing()
	from.tell(message{Answer: &answer{Inquiry: q, Rank: g.rank, Entered: h.seq, Doing: h.String()}})
}

// answered keeps an answer to us or hands it on.
func (g *Group) answered(a answer) {
	g.news.mu.Lock()
	route := g.news.routes[a.Inquiry]
	g.news.mu.Unlock()
	if a.Inquiry.From == g.rank {
		g.keep(a)
	} else if route != nil {
		route.tell(message{Answer: &a})
	}
}

// keep notes an answer to our own inquiry.
func (g *Group) keep(a answer) {
	g.news.mu.Lock()
	defer g.news.mu.Unlock()
	if a.Rank < 0 || a.Rank >= len(g.news.answers) || g.news.answers[a.Rank] != nil {
		return
	}
	g.news.answers[a.Rank] = &a
	if g.news.missing--; g.news.missing == 0 {
		close(g.news.whole)
	}
}

const (
	// inquiryLimit is how long ranks have to answer; a live one does within a round trip.
	inquiryLimit = time.Second
	// inquiryOthers is how long a rank that is late too waits for the verdict of one that already asks.
	inquiryOthers = 2 * inquiryLimit
)

// doing returns the newest collective, how long it may take, and whether it still runs.
func (g *Group) doing() (header, time.Duration, bool) {
	g.state.Lock()
	defer g.state.Unlock()
	return g.current, g.limit, g.running
}

// overdue runs when a collective has taken too long: it asks who is missing and breaks the group with their names.
func (g *Group) overdue() {
	late, limit, _ := g.doing()
	g.news.mu.Lock()
	others := g.news.asked >= late.seq
	g.news.mu.Unlock()
	if others {
		select {
		case <-g.broken:
		case <-g.closed:
		case <-time.After(inquiryOthers):
		}
	}
	answers := g.inquire(inquiry{From: g.rank, Seq: late.seq})
	if now, _, running := g.doing(); running && now.seq == late.seq { // else it ended while we asked
		g.fail(g.judge(late, limit, answers), nil)
	}
}

// judge says why a collective is late, from what each rank says it does.
func (g *Group) judge(late header, limit time.Duration, answers []*answer) verdict {
	v := verdict{Kind: verdictTimeout, Rank: g.rank, Op: late.String(), After: limit}
	for rank, a := range answers {
		switch {
		case rank == g.rank:
		case a == nil:
			v.Silent = append(v.Silent, rank)
		case a.Entered < late.seq:
			v.Missing = append(v.Missing, rank)
		case a.Entered == late.seq && a.Doing != late.String():
			return mismatch(g.rank, late.String(), rank, a.Doing)
		}
	}
	return v
}

func mismatch(rank int, doing string, other int, otherDoing string) verdict {
	return verdict{Kind: verdictMismatch, Rank: other,
		Reason: fmt.Sprintf("rank %d is in %s, rank %d in %s", rank, doing, other, otherDoing)}
}

// inquire collects what each rank does; nil where there was no answer.
func (g *Group) inquire(q inquiry) []*answer {
	whole := make(chan struct{})
	g.news.mu.Lock()
	g.news.answers, g.news.missing, g.news.whole = make([]*answer, g.size), g.size-1, whole
	g.news.answers[g.rank] = &answer{}
	g.news.mu.Unlock()
	for _, l := range g.links {
		l.tell(message{Ask: &q})
	}
	select {
	case <-whole:
	case <-g.broken:
	case <-g.closed:
	case <-time.After(inquiryLimit):
	}
	g.news.mu.Lock()
	defer g.news.mu.Unlock()
	return slices.Clone(g.news.answers)
}
