package rendezvous

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"ainexus.io/launch/elastic"
	"ainexus.io/nexus"
	"ainexus.io/proc"
)

// Timing is how the death of an agent is noticed.
type Timing struct {
	Beat    time.Duration // between two signs of life; default 250 ms
	Silence time.Duration // unacknowledged by the other kernel for so long is gone; default 1.5 s
	Stuck   time.Duration // an agent whose kernel is there, but which says nothing; default 30 s
}

// withDefaults are good for a network whose pauses are shorter than a second.
func (t Timing) withDefaults() Timing {
	if t.Beat <= 0 {
		t.Beat = 250 * time.Millisecond
	}
	if t.Silence <= 0 {
		t.Silence = 1500 * time.Millisecond
	}
	if t.Stuck <= 0 {
		t.Stuck = 30 * time.Second
	}
	return t
}

// Options are the settings of [Join].
type Options struct {
	Endpoint string // host:port where agents meet
	ID       string // of the job
	Token    string // of those who may join; empty: who knows ID may
	IsHost   bool   // this node is the endpoint, whatever its address says

	Node      string // name of this machine
	Workers   int    // processes here
	Rank      int    // group rank asked for; -1: none
	LocalAddr string // address at which the others reach this node; empty: the one on the way to the endpoint

	Settings       elastic.Settings
	Timing         Timing
	ConnectTimeout time.Duration // how long to look for the meeting; default 60 s

	// OpenStore opens an empty store for a round at an address of this node and returns host:port. It is called by
	// one goroutine at a time, and not after [Meeting.Close] has returned.
	OpenStore func(number int, host string) (string, error)
	Say       func(text string) // tells the user; nil: nobody
	Clock     proc.Clock        // default: this machine's
	Logger    *slog.Logger      // default: silent
}

// Meeting is this node's part in a meeting. Its methods may be called from any goroutine.
type Meeting struct {
	opts      Options
	secret    secret
	clock     proc.Clock
	log       *slog.Logger
	calls     chan func()
	events    chan elastic.Output
	ctx       context.Context // ends with the meeting
	cancel    context.CancelFunc
	quit      <-chan struct{}
	over      sync.WaitGroup
	strangers strangers
	opening   sync.Mutex // one store at a time

	// The loop's.
	core      *elastic.Meeting
	self      elastic.Agent
	links     map[string]*link
	dialling  map[string]bool
	queue     []elastic.Output
	listeners []net.Listener
	held      bool // the endpoint is ours
	visiting  bool
	visit     time.Duration // not before
	began     time.Duration
	met       bool // we were linked, or held the endpoint, at least once
	atEnd     string
	told      bool
	finished  bool
	remarks   int // lines on strangers lately
	remarked  time.Duration
}

// Join takes part in the meeting until [Meeting.Close]. What it finds is told by [Meeting.Events].
func Join(opts Options) (*Meeting, error) {
	host, port, err := net.SplitHostPort(opts.Endpoint)
	if err != nil || host == "" || port == "" {
		return nil, &nexus.Error{Code: nexus.CodeInvalid, Message: fmt.Sprintf("the endpoint %q is no host:port", opts.Endpoint),
			Hint: "--rdzv-endpoint HOST[:PORT] names a node that all others can reach"}
	}
	opts.Timing = opts.Timing.withDefaults()
	if opts.ConnectTimeout <= 0 {
		opts.ConnectTimeout = time.Minute
	}
	if opts.Say == nil {
		opts.Say = func(string) {}
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	m := &Meeting{
		opts: opts, secret: newSecret(opts.ID, opts.Token), clock: opts.Clock.OrSystem(), log: opts.Logger.With("component", "rendezvous"),
		calls: make(chan func(), 256), events: make(chan elastic.Output),
		links: map[string]*link{}, dialling: map[string]bool{},
	}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	m.quit = m.ctx.Done()
	l, err := net.Listen("tcp", net.JoinHostPort(m.ownHost(host), "0"))
	if err != nil {
		return nil, &nexus.Error{Code: nexus.CodeInvalid, Message: fmt.Sprintf("cannot listen on %s: %v", m.ownHost(host), err),
			Hint: "--local-addr has to be an address of this machine"}
	}
	_, port, _ = net.SplitHostPort(l.Addr().String())
	m.self = elastic.Agent{
		ID: strings.ToLower(rand.Text()), Node: opts.Node, Addr: net.JoinHostPort(opts.LocalAddr, port), Workers: opts.Workers, Want: opts.Rank + 1,
	}
	m.began = m.clock.Mono()
	m.core = elastic.NewMeeting(m.self, opts.Settings, m.began)
	m.serve(l)
	m.over.Add(1)
	go m.run()
	return m, nil
}

// ownHost is where this node listens for the others: everywhere, unless it was told or nobody comes from outside.
func (m *Meeting) ownHost(endpoint string) string {
	if m.opts.LocalAddr != "" {
		return m.opts.LocalAddr
	}
	if isLoopback(endpoint) {
		return "127.0.0.1"
	}
	return ""
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Events are what to do: [elastic.Begin], [elastic.End], and [elastic.Finish] last.
func (m *Meeting) Events() <-chan elastic.Output { return m.events }

// Failed tells that a worker of a round failed here.
func (m *Meeting) Failed(number int) { m.call(func() { m.step(elastic.Failed{Number: number}) }) }

// Closed tells that no process of a round is left here.
func (m *Meeting) Closed(number int, r elastic.Report) {
	m.call(func() { m.step(elastic.Closed{Number: number, Report: r}) })
}

// Leave tells that this node wants to go; [elastic.Finish] follows when it may.
func (m *Meeting) Leave() { m.call(func() { m.step(elastic.Leave{}) }) }

// Close ends the meeting here, whether it has finished or not, and returns when nothing of it runs any more.
func (m *Meeting) Close() {
	m.cancel()
	m.over.Wait()
}

// call has the loop do something.
func (m *Meeting) call(do func()) {
	select {
	case m.calls <- do:
	case <-m.quit:
	}
}

// run is the loop: all that changes is changed here.
func (m *Meeting) run() {
	defer m.over.Done()
	defer m.closeAll()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		var events chan elastic.Output
		var first elastic.Output
		if len(m.queue) > 0 {
			events, first = m.events, m.queue[0]
		}
		select {
		case <-m.quit:
			return
		case do := <-m.calls:
			do()
		case events <- first:
			m.queue = m.queue[1:]
		case <-timer.C:
			m.step(elastic.Tick{})
			m.look()
		}
		timer.Reset(max(time.Millisecond, min(m.core.Next(), m.visit)-m.clock.Mono()))
	}
}

func (m *Meeting) step(in elastic.Input) {
	for _, o := range m.core.Step(m.clock.Mono(), in) {
		m.do(o)
	}
}

func (m *Meeting) do(o elastic.Output) {
	switch o := o.(type) {
	case elastic.Send:
		if l := m.links[o.To]; l != nil {
			l.send(o.Message)
		}
	case elastic.Dial:
		m.dial(o.Agent)
	case elastic.Drop:
		if l := m.links[o.ID]; l != nil {
			delete(m.links, o.ID)
			l.close()
		}
	case elastic.Open:
		host, _, _ := net.SplitHostPort(m.self.Addr)
		m.over.Add(1)
		go func() {
			defer m.over.Done()
			m.opening.Lock()
			store, err := m.opts.OpenStore(o.Number, host)
			m.opening.Unlock()
			m.call(func() {
				if err != nil {
					m.finish(elastic.Outcome{Report: elastic.Report{Rank: -1, Exit: 1, Cause: nexus.CauseSetup, Message: err.Error()}})
					return
				}
				m.step(elastic.Opened{Number: o.Number, Store: store})
			})
		}()
	case elastic.Say:
		m.opts.Say(clip(o.Text))
	case elastic.Finish:
		m.finish(o.Outcome)
	default:
		m.queue = append(m.queue, o)
	}
}

// finish is the last event. What was said to the others is still written.
func (m *Meeting) finish(o elastic.Outcome) {
	if m.finished {
		return
	}
	m.finished = true
	m.queue = append(m.queue, elastic.Finish{Outcome: o})
	for _, l := range m.links {
		l.retire()
	}
}

func (m *Meeting) closeAll() {
	for _, l := range m.listeners {
		l.Close()
	}
	for _, l := range m.links {
		l.retire()
	}
	late := time.After(500 * time.Millisecond)
	for _, l := range m.links {
		select {
		case <-l.quit:
		case <-late:
			late = time.After(0)
			l.close()
		}
	}
}
