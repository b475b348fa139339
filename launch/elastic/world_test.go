package elastic

import (
	"container/heap"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"ainexus.io/nexus"
)

// world is agents, a network and workers in virtual time. The network loses nothing that it does not cut, keeps the
// order on a link, and is as slow as pick says. Silence is noticed as rendezvous notices it.
type world struct {
	now    time.Duration
	seq    int
	queue  events
	hosts  map[string]*host
	sides  map[string]int // by agent; those of one side reach one another
	holder string         // who has bound the endpoint
	anyone bool           // every agent may bind it: they are on one machine
	set    Settings
	pick   func(low, high time.Duration) time.Duration
	log    strings.Builder
	broken []string // laws that were broken

	records map[int]string // agreed rounds by number, drawn
}

// host is one agent.
type host struct {
	name    string
	m       *Meeting
	alive   bool
	links   map[string]int // by agent: number of the link
	running *Record
	closing bool
	report  Report        // of a worker that failed
	ends    time.Duration // when its workers will be gone
	done    *Outcome
	tick    time.Duration
}

type event struct {
	at  time.Duration
	seq int
	do  func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].seq < e[j].seq
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

// The network's silence is noticed between these.
const (
	silence = 1500 * time.Millisecond
	beat    = 250 * time.Millisecond
)

func newWorld(set Settings) *world {
	return &world{
		set: set, hosts: map[string]*host{}, sides: map[string]int{}, anyone: true, records: map[int]string{},
		pick: func(low, _ time.Duration) time.Duration { return low },
	}
}

func (w *world) after(d time.Duration, do func()) {
	w.seq++
	heap.Push(&w.queue, event{w.now + d, w.seq, do})
}

func (w *world) run(until time.Duration) {
	for len(w.queue) > 0 && w.queue[0].at <= until {
		e := heap.Pop(&w.queue).(event)
		w.now = e.at
		e.do()
	}
	w.now = until
}

func (w *world) names() []string { return slices.Sorted(maps.Keys(w.hosts)) }

func (w *world) say(format string, args ...any) {
	fmt.Fprintf(&w.log, "%6.2f  %s\n", w.now.Seconds(), fmt.Sprintf(format, args...))
}

// start starts an agent, whose name is its id and node.
func (w *world) start(name string, want int) {
	self := Agent{ID: name, Node: strings.TrimRight(name, "'"), Addr: name, Workers: 1, Want: want}
	h := &host{name: name, alive: true, links: map[string]int{}}
	h.m = NewMeeting(self, w.set, w.now)
	w.hosts[name] = h
	w.step(h, Tick{})
	w.roam(h)
}

// roam is what an agent does about the endpoint again and again.
func (w *world) roam(h *host) {
	if !h.alive {
		return
	}
	w.after(200*time.Millisecond, func() { w.roam(h) })
	role, _ := h.m.Role()
	holder := w.hosts[w.holder]
	if holder != nil && !holder.alive {
		w.holder, holder = "", nil
	}
	switch {
	case role == Following || w.holder == h.name:
	case holder == nil && (w.anyone || strings.HasPrefix(h.name, "a")):
		w.holder = h.name
		w.step(h, Host{})
	case holder != nil:
		w.dial(h, holder.name)
	}
}

func (w *world) reach(a, b string) bool { return w.sides[a] == w.sides[b] }

func (w *world) dial(h *host, to string) {
	other := w.hosts[to]
	delay := w.pick(time.Millisecond, 20*time.Millisecond)
	w.after(delay, func() {
		switch {
		case !h.alive || h.links[to] != 0 && other.alive:
		case !w.reach(h.name, to):
			w.after(time.Second, func() { w.step(h, NoAnswer{ID: to, How: Silent}) })
		case other == nil || !other.alive:
			w.step(h, NoAnswer{ID: to, How: Reset})
		default:
			w.seq++
			h.links[to], other.links[h.name] = w.seq, w.seq
			w.step(h, Up{Agent: other.m.self, Self: h.m.self})
			w.step(other, Up{Agent: h.m.self, Self: other.m.self})
		}
	})
}

// cut ends the link of two for both, as each of them notices it.
func (w *world) cut(a, b string, how How) {
	link := w.hosts[a].links[b]
	if link == 0 {
		return
	}
	for _, pair := range [][2]string{{a, b}, {b, a}} {
		h, other := w.hosts[pair[0]], pair[1]
		delay := w.pick(time.Millisecond, 20*time.Millisecond)
		if how == Silent {
			delay = w.pick(silence, silence+beat)
		}
		w.after(delay, func() {
			if h.alive && h.links[other] == link {
				delete(h.links, other)
				w.step(h, Down{ID: other, How: how})
			}
		})
	}
}

// kill ends an agent and its workers, which its keeper sees to.
func (w *world) kill(name string) {
	h := w.hosts[name]
	if !h.alive {
		return
	}
	w.say("%s is killed", name)
	w.vanish(h)
}

func (w *world) vanish(h *host) {
	h.alive, h.running = false, nil
	for _, other := range slices.Sorted(maps.Keys(h.links)) {
		how := Reset
		if !w.reach(h.name, other) {
			how = Silent
		}
		w.cut(h.name, other, how)
	}
}

// split puts agents on sides; those that are not named are on side 0.
func (w *world) split(sides map[string]int) {
	w.sides = sides
	for _, a := range w.names() {
		for _, b := range w.names() {
			if a < b && !w.reach(a, b) {
				w.cut(a, b, Silent)
			}
		}
	}
}

func (w *world) step(h *host, in Input) {
	if !h.alive {
		return
	}
	for _, o := range h.m.Step(w.now, in) {
		w.do(h, o)
	}
	if next := h.m.Next(); h.tick <= w.now || next < h.tick {
		h.tick = next
		w.after(next-w.now, func() {
			if h.tick <= w.now {
				w.step(h, Tick{})
			}
		})
	}
}

func (w *world) do(h *host, o Output) {
	switch o := o.(type) {
	case Send:
		link := h.links[o.To]
		if link == 0 {
			return
		}
		to := w.hosts[o.To]
		w.after(10*time.Millisecond, func() { // one speed: order is kept
			if to.links[h.name] == link && w.reach(h.name, to.name) {
				w.step(to, Got{From: h.name, Message: o.Message})
			}
		})
	case Dial:
		if h.links[o.Agent.ID] == 0 {
			w.dial(h, o.Agent.ID)
		}
	case Drop:
		w.cut(h.name, o.ID, Reset)
	case Open:
		w.after(time.Millisecond, func() { w.step(h, Opened{Number: o.Number, Store: h.name}) })
	case Begin:
		w.begin(h, o)
	case End:
		w.end(h, o)
	case Say:
		w.say("%s: %s", h.name, o.Text)
	case Finish:
		w.say("%s ends: %s", h.name, o.Outcome.Message)
		h.done = &o.Outcome
		for _, other := range slices.Sorted(maps.Keys(h.links)) {
			if link := h.links[other]; link != 0 {
				peer := w.hosts[other]
				w.after(11*time.Millisecond, func() { // after what was said last
					if peer.alive && peer.links[h.name] == link && w.reach(h.name, peer.name) {
						delete(peer.links, h.name)
						w.step(peer, Down{ID: h.name, How: Reset})
					}
				})
			}
		}
		h.alive, h.running = false, nil
	}
}

func (w *world) begin(h *host, b Begin) {
	h.running, h.closing, h.report = b.Record, false, Report{}
	drawn := draw(b.Record)
	if b.Group == 0 {
		w.say("round %s", drawn)
	}
	if b.Record.Number == 0 && w.idle(b.Record) {
		clear(w.records) // too few of an earlier round are left: this is a new beginning
	}
	if old, ok := w.records[b.Record.Number]; ok && old != drawn {
		w.broken = append(w.broken, fmt.Sprintf("at %s round %d is %s and %s", w.now, b.Record.Number, old, drawn))
	}
	w.records[b.Record.Number] = drawn
	if used := w.set.Budget - b.Record.State.RestartsLeft; used > w.set.Budget || b.Record.State.RestartsLeft < 0 {
		w.broken = append(w.broken, fmt.Sprintf("round %d overdraws the budget", b.Record.Number))
	}
	for _, name := range w.names() {
		if other := w.hosts[name]; other.alive && other.running != nil && (other.running.Number != b.Record.Number || other.running.Term != b.Record.Term) {
			w.broken = append(w.broken, fmt.Sprintf("at %s %s begins round %d while %s still runs round %d", w.now, h.name, b.Record.Number, name, other.running.Number))
		}
	}
}

// idle reports whether nobody else runs a round.
func (w *world) idle(but *Record) bool {
	for _, h := range w.hosts {
		if h.alive && h.running != nil && (h.running.Number != but.Number || h.running.Term != but.Term) {
			return false
		}
	}
	return true
}

// draw is "2: a b c, 3 left": the number, the nodes by group rank and the restarts left.
func draw(r *Record) string {
	text := fmt.Sprintf("%d:", r.Number)
	for _, a := range r.Agents {
		text += " " + a.ID
	}
	return text + fmt.Sprintf(", %d left", r.State.RestartsLeft)
}

func (w *world) end(h *host, e End) {
	if h.running == nil || h.running.Number != e.Number {
		return
	}
	delay := time.Duration(0)
	switch e.Stop {
	case StopFail:
		delay = w.pick(10*time.Millisecond, SurvivorGrace)
	case StopSave:
		delay = w.pick(20*time.Millisecond, 5*time.Second)
	}
	if at := w.now + delay; !h.closing || at < h.ends {
		h.closing, h.ends = true, at
		w.closeAt(h, e.Number, delay, h.report)
	}
}

func (w *world) closeAt(h *host, number int, delay time.Duration, r Report) {
	closed := func() {
		if h.alive && h.running != nil && h.running.Number == number {
			h.running, h.closing = nil, false
			w.step(h, Closed{Number: number, Report: r})
		}
	}
	if delay == 0 {
		w.seq++
		heap.Push(&w.queue, event{w.now, -w.seq, closed}) // before all that happens now
		return
	}
	w.after(delay, closed)
}

// fail ends a worker of an agent with a code.
func (w *world) fail(name string) {
	h := w.hosts[name]
	if !h.alive || h.running == nil {
		return
	}
	w.say("a worker of %s fails", name)
	number := h.running.Number
	rank := h.running.First(h.running.Rank(name))
	h.closing, h.ends = true, w.now+50*time.Millisecond
	h.report = Report{Cause: nexus.CauseExit, Rank: rank, Exit: 1, Message: fmt.Sprintf("rank %d exited with code 1", rank), Age: 50 * time.Millisecond}
	w.closeAt(h, number, 50*time.Millisecond, h.report)
	w.step(h, Failed{Number: number})
}

// succeed ends the workers of an agent well.
func (w *world) succeed(name string) {
	h := w.hosts[name]
	if h.alive && h.running != nil && !h.closing {
		h.closing, h.ends = true, w.now
		w.closeAt(h, h.running.Number, time.Millisecond, Report{OK: true, Rank: -1})
	}
}

// leave asks an agent to go.
func (w *world) leave(name string) {
	if h := w.hosts[name]; h.alive {
		w.say("%s is asked to leave", name)
		w.step(h, Leave{})
	}
}
