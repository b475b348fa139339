package elastic

import (
	"maps"
	"slices"
	"time"

	"ainexus.io/nexus"
)

// Settings are what every agent of a job is told alike.
type Settings struct {
	Min, Max int // nodes
	Budget   int // restarts
	Restart  nexus.Restart
	Backoff  Backoff

	LastCall    time.Duration // how long to wait for more than Min
	JoinTimeout time.Duration // how long to wait for Min
	Fence       time.Duration // from the silence of an agent to the next round: by then its workers are dead
	Gather      time.Duration // how long a new leader waits for those who may still come
	Notice      time.Duration // how long who serves anew waits before a first round: those of an earlier run look there more often
	Retry       time.Duration // between attempts to find the others
	Turn        time.Duration // between the claims of two survivors
	Linger      time.Duration // how long the news of the end may take to everybody
	Takeover    bool          // half of the agents may go on whatever became of the others
}

// Defaults are the settings that nobody chose. Fence is longer than a beat of the heart (see rendezvous) and a kill.
func Defaults() Settings {
	return Settings{
		Min: 1, Max: 1, LastCall: 5 * time.Second, JoinTimeout: 10 * time.Minute, Fence: 500 * time.Millisecond,
		Gather: 1500 * time.Millisecond, Notice: 400 * time.Millisecond, Retry: 500 * time.Millisecond, Turn: 150 * time.Millisecond, Linger: 3 * time.Second,
	}
}

// Meeting is one agent's part in the rendezvous of a job. [Meeting.Step] takes what happened and returns what to do;
// the caller does it in that order. Time is the caller's, and never goes back.
type Meeting struct {
	self Agent
	set  Settings
	now  time.Duration
	out  []Output

	role     Role
	promised Term
	promise  time.Duration // until then the promise binds
	base     *Record       // the last round that was agreed
	pending  *Record       // one that was offered and may have been agreed
	first    []*Record     // those that were offered before any was agreed
	leader   string        // while following
	peers    map[string]Agent
	gone     map[string]How
	numbers  map[string]int // last round that a peer says to know

	running int     // the round whose workers live here; -1: none
	report  *Report // how the workers of base ended here
	stopped Stop
	leaving bool
	hosts   bool // newcomers come here
	over    *Outcome
	done    bool

	began   time.Duration // waiting for others since
	fence   time.Duration // no round before
	claimAt time.Duration // seeking: when to look for the others again
	claim   *claim
	lead    *lead
}

// NewMeeting returns the part of an agent that knows nobody yet.
func NewMeeting(self Agent, set Settings, now time.Duration) *Meeting {
	return &Meeting{
		self: self, set: set, now: now, role: Seeking, running: -1, began: now, claimAt: now,
		peers: map[string]Agent{}, gone: map[string]How{}, numbers: map[string]int{},
	}
}

// Input is what happened: [Up], [Down], [NoAnswer], [Got], [Host], [Opened], [Failed], [Closed], [Leave] or [Tick].
type Input interface{ input() }

// The inputs.
type (
	// Up: a link to Agent stands, for the first time or anew. Self is how it knows us.
	Up struct{ Agent, Self Agent }
	// Down: the link to an agent is gone for good.
	Down struct {
		ID  string
		How How
	}
	// NoAnswer: an agent that was to be dialled could not be reached.
	NoAnswer struct {
		ID  string
		How How
	}
	// Got: an agent said something.
	Got struct {
		From    string
		Message Message
	}
	// Host: the endpoint is ours, so newcomers will come here.
	Host struct{}
	// Opened: the empty store of a round listens.
	Opened struct {
		Number int
		Store  string
	}
	// Failed: a worker of the round failed here; the others here are being ended.
	Failed struct{ Number int }
	// Closed: no process of the round is left here.
	Closed struct {
		Number int
		Report Report
	}
	// Leave: this node wants to go.
	Leave struct{}
	// Tick: time has passed.
	Tick struct{}
)

func (Up) input()       {}
func (Down) input()     {}
func (NoAnswer) input() {}
func (Got) input()      {}
func (Host) input()     {}
func (Opened) input()   {}
func (Failed) input()   {}
func (Closed) input()   {}
func (Leave) input()    {}
func (Tick) input()     {}

// Output is what to do: [Send], [Dial], [Drop], [Open], [Begin], [End], [Say] or [Finish].
type Output interface{ output() }

// The outputs.
type (
	// Send a message over the link to an agent; without one it is lost.
	Send struct {
		To      string
		Message Message
	}
	// Dial an agent; the answer is [Up] or [NoAnswer].
	Dial struct{ Agent Agent }
	// Drop the link to an agent; no [Down] follows.
	Drop struct{ ID string }
	// Open an empty store for a round; the answer is [Opened].
	Open struct{ Number int }
	// Begin a round.
	Begin struct {
		Record *Record
		Group  int // our group rank
		Store  string
	}
	// End the workers of a round.
	End struct {
		Number int
		Stop   Stop
		Why    string
	}
	// Say something to the user.
	Say struct{ Text string }
	// Finish: there is nothing more to do here.
	Finish struct{ Outcome Outcome }
)

func (Send) output()   {}
func (Dial) output()   {}
func (Drop) output()   {}
func (Open) output()   {}
func (Begin) output()  {}
func (End) output()    {}
func (Say) output()    {}
func (Finish) output() {}

// Step takes what happened at a time and returns what to do.
func (m *Meeting) Step(now time.Duration, in Input) []Output {
	m.now, m.out = max(m.now, now), nil
	if m.done {
		return nil
	}
	switch in := in.(type) {
	case Up:
		m.up(in.Agent, in.Self)
	case Down:
		m.down(in.ID, in.How)
	case NoAnswer:
		m.noAnswer(in.ID, in.How)
	case Got:
		m.got(in.From, in.Message)
	case Host:
		m.host()
	case Opened:
		if m.lead != nil && m.lead.offer != nil && m.lead.offer.Number == in.Number {
			m.lead.store = in.Store
		}
	case Failed:
		m.failed(in.Number)
	case Closed:
		m.closed(in.Number, in.Report)
	case Leave:
		m.leave()
	}
	m.consider()
	return m.out
}

// Role is what the agent is to the others, and the agent that it follows.
func (m *Meeting) Role() (Role, string) { return m.role, m.leader }

// Base is the last round that the agent knows to be agreed; nil before the first.
func (m *Meeting) Base() *Record { return m.base }

// Peers are the linked agents' ids, in order.
func (m *Meeting) Peers() []string { return slices.Sorted(maps.Keys(m.peers)) }

// Next is when time itself will make a difference; a caller that ticks no later than that misses nothing.
func (m *Meeting) Next() time.Duration {
	next := m.now + time.Second
	soon := func(at time.Duration) {
		if at > m.now {
			next = min(next, at)
		}
	}
	if m.role == Seeking {
		soon(m.claimAt)
	}
	soon(m.fence)
	if l := m.lead; l != nil {
		soon(l.at)
		soon(l.callEnds)
		soon(l.gather)
		soon(l.resizeAt)
		soon(l.lingers)
	}
	return next
}

func (m *Meeting) do(o Output) { m.out = append(m.out, o) }

func (m *Meeting) send(to string, msg Message) {
	if _, linked := m.peers[to]; linked {
		m.do(Send{To: to, Message: msg})
	}
}

// linked reports whether an agent can be spoken to; we ourselves can.
func (m *Meeting) linked(id string) bool {
	_, is := m.peers[id]
	return is || id == m.self.ID
}

// toAll sends to every linked agent.
func (m *Meeting) toAll(msg Message) {
	for _, id := range m.Peers() {
		m.send(id, msg)
	}
}

func (m *Meeting) number() int {
	if m.base == nil {
		return -1
	}
	return m.base.Number
}

// status is who we are to the others.
func (m *Meeting) status() Message {
	msg := Message{Kind: Status, Role: m.role, Number: m.number(), Term: m.promised, Running: m.running}
	if m.role == Leading {
		msg.Term, msg.Base = m.lead.term, m.base
	}
	if leader, ok := m.peers[m.leader]; ok && m.role == Following {
		msg.Leader = &leader
	}
	return msg
}

func (m *Meeting) up(a, self Agent) {
	m.self.Addr = self.Addr
	m.peers[a.ID], m.numbers[a.ID] = a, -1
	delete(m.gone, a.ID)
	m.send(a.ID, m.status())
	if m.claim != nil {
		m.ask(a.ID)
	}
}

func (m *Meeting) down(id string, how How) {
	agent, linked := m.peers[id]
	if !linked {
		return
	}
	delete(m.peers, id)
	m.gone[id] = how
	if how == Silent {
		m.fence = max(m.fence, m.now+m.set.Fence)
	}
	switch {
	case m.role == Following && m.leader == id:
		m.lostLeader(agent.Node, how)
	case m.role == Leading:
		m.lostMember(id, how)
	}
}

// noAnswer notes an agent that cannot be reached. One that is cut off may need as long as a failed round's workers
// do until none of them can save any more.
func (m *Meeting) noAnswer(id string, how How) {
	if _, linked := m.peers[id]; linked || m.gone[id] == Reset {
		return
	}
	if how == Silent && m.gone[id] == 0 {
		m.fence = max(m.fence, m.now+m.set.Fence+SurvivorGrace)
	}
	m.gone[id] = how
	m.tryClaim()
}

// consider does what time asks for.
func (m *Meeting) consider() {
	switch {
	case m.done:
	case m.role == Leading:
		m.leadOn()
	case m.leaving && m.running < 0 && m.role == Seeking:
		m.finish(Outcome{Report: Report{Rank: -1}, Left: true})
	case m.role == Seeking && m.now >= m.claimAt:
		m.seek()
	}
}

// end ends the workers here, if there are any, at least so hard.
func (m *Meeting) end(how Stop, why string) {
	if m.running >= 0 && how > m.stopped {
		m.stopped = how
		m.do(End{Number: m.running, Stop: how, Why: why})
	}
}

func (m *Meeting) finish(o Outcome) {
	m.toAll(Message{Kind: Bye, Number: m.number(), Running: -1})
	m.do(Finish{Outcome: o})
	m.done = true
}
