package rendezvous

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"

	"ainexus.io/launch/elastic"
)

// How long the others get to answer.
const (
	dialTimeout = time.Second
	relink      = 1500 * time.Millisecond
)

// serve lets strangers in, each with a place and seconds of its own.
func (m *Meeting) serve(l net.Listener) {
	m.listeners = append(m.listeners, l)
	m.over.Add(1)
	go func() {
		defer m.over.Done()
		for {
			conn, err := l.Accept()
			if err != nil {
				select {
				case <-m.quit:
					return
				case <-time.After(20 * time.Millisecond): // out of files, most likely
				}
				if errors.Is(err, net.ErrClosed) {
					return
				}
				continue
			}
			m.strangers.add(conn)
			m.over.Add(1)
			go m.admit(conn)
		}
	}()
}

// strangers are the connections that have not proven anything yet. There is room for so many; the next one takes the
// place of the one that has been at it for longest, so that those who do nothing keep nobody out.
type strangers struct {
	mu   sync.Mutex
	list []net.Conn
}

const strangersRoom = 64

func (s *strangers) add(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.list = append(s.list, conn); len(s.list) > strangersRoom {
		s.list[0].Close()
		s.list = s.list[1:]
	}
}

func (s *strangers) remove(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = slices.DeleteFunc(s.list, func(c net.Conn) bool { return c == conn })
}

// own is how we introduce ourselves.
func (m *Meeting) own() hello {
	s := m.opts.Settings
	self := m.self
	if m.opts.LocalAddr == "" { // the other side knows where it met us
		_, port, _ := net.SplitHostPort(self.Addr)
		self.Addr = net.JoinHostPort("", port)
	}
	return hello{Min: s.Min, Max: s.Max, Budget: s.Budget, Agent: self}
}

// ask has the loop answer a question; false where it has ended.
func ask[T any](m *Meeting, question func() T) (answer T, ok bool) {
	got := make(chan T, 1)
	m.call(func() { got <- question() })
	select {
	case answer = <-got:
		return answer, true
	case <-m.quit:
		return answer, false
	}
}

// admit shakes hands with who dialled us.
func (m *Meeting) admit(conn net.Conn) {
	defer m.over.Done()
	defer m.strangers.remove(conn)
	own, ok := ask(m, m.own)
	if !ok {
		conn.Close()
		return
	}
	stop := context.AfterFunc(m.ctx, func() { conn.Close() })
	defer stop()
	conn.SetDeadline(time.Now().Add(shakeTimeout))
	l, agent, err := receive(conn, m.secret, own)
	if err != nil {
		conn.Close()
		var no *refusal
		if errors.As(err, &no) {
			m.call(func() { m.remark(no.text) })
		}
		return
	}
	m.call(func() { m.linked(l, agent) })
}

// remark tells of a stranger, but not of a crowd.
func (m *Meeting) remark(text string) {
	if now := m.clock.Mono(); now-m.remarked > 10*time.Second {
		m.remarks, m.remarked = 0, now
	}
	m.remarks++
	m.log.Warn("a stranger was sent away", "why", text)
	if m.remarks <= 10 {
		m.opts.Say(clip(text))
	}
}

// reach dials an address and shakes hands.
func (m *Meeting) reach(addr string, own hello) (*link, elastic.Agent, error) {
	d := net.Dialer{Timeout: dialTimeout, KeepAlive: -1}
	conn, err := d.DialContext(m.ctx, "tcp", addr)
	if err != nil {
		return nil, elastic.Agent{}, err
	}
	stop := context.AfterFunc(m.ctx, func() { conn.Close() })
	defer stop()
	conn.SetDeadline(time.Now().Add(2 * dialTimeout))
	l, agent, err := greet(conn, m.secret, own)
	if err != nil {
		conn.Close()
	}
	return l, agent, err
}

// dial looks for an agent that we know.
func (m *Meeting) dial(a elastic.Agent) {
	if m.links[a.ID] != nil || m.dialling[a.ID] || m.finished {
		return
	}
	m.dialling[a.ID] = true
	own := m.own()
	m.over.Add(1)
	go func() {
		defer m.over.Done()
		l, found, err := m.reach(a.Addr, own)
		if err == nil && found.ID != a.ID {
			l.close()
			err = syscall.ECONNREFUSED // its port is somebody else's by now
		}
		m.call(func() {
			delete(m.dialling, a.ID)
			if err != nil {
				m.step(elastic.NoAnswer{ID: a.ID, How: unreached(err)})
				return
			}
			m.linked(l, found)
		})
	}()
}

// unreached reads the error of a dial: a refused connection says that the process is gone.
func unreached(err error) elastic.How {
	var no *refusal
	if errors.Is(err, syscall.ECONNREFUSED) || errors.As(err, &no) {
		return elastic.Reset
	}
	return elastic.Silent
}

// linked takes a new link into use. Of two between the same agents, the one that the agent with the lower id has
// dialled stays, at both ends; one that is dialled again replaces its predecessor.
func (m *Meeting) linked(l *link, a elastic.Agent) {
	old := m.links[a.ID]
	if m.finished || len(m.links) > 4*m.opts.Settings.Max+16 {
		l.close()
		return
	}
	if old != nil && l.dialled != old.dialled && l.dialled != (m.self.ID < a.ID) {
		l.retire()
		m.over.Add(1)
		go m.drain(l, a.ID)
		return
	}
	if old != nil {
		old.retire()
	}
	l.conn.SetDeadline(time.Time{})
	patience(l.conn, m.opts.Timing.Silence)
	m.links[a.ID], m.met = l, true
	m.meetAt(hostOf(l.conn.LocalAddr()))
	m.over.Add(2)
	go func() {
		defer m.over.Done()
		l.write(m.opts.Timing)
	}()
	go func() {
		defer m.over.Done()
		how := l.listen(m.opts.Timing, func(msg elastic.Message) {
			m.call(func() { m.step(elastic.Got{From: a.ID, Message: msg}) })
		})
		m.call(func() { m.unlinked(l, a, how) })
	}()
	m.step(elastic.Up{Agent: a, Self: m.self})
}

// drain hears out a link that was not taken into use.
func (m *Meeting) drain(l *link, id string) {
	defer m.over.Done()
	m.over.Add(1)
	go func() {
		defer m.over.Done()
		l.write(m.opts.Timing)
	}()
	l.listen(m.opts.Timing, func(msg elastic.Message) {
		m.call(func() { m.step(elastic.Got{From: id, Message: msg}) })
	})
}

// meetAt learns our own address from a connection, unless it was given or a better one is known.
func (m *Meeting) meetAt(host string) {
	known, port, _ := net.SplitHostPort(m.self.Addr)
	if m.opts.LocalAddr == "" && (known == "" || isLoopback(known)) {
		m.self.Addr = net.JoinHostPort(host, port)
	}
}

// unlinked looks once more after an agent whose link was reset before it is believed to be gone.
func (m *Meeting) unlinked(l *link, a elastic.Agent, how elastic.How) {
	if m.links[a.ID] != l {
		return
	}
	delete(m.links, a.ID)
	if how != elastic.Reset || m.finished {
		m.step(elastic.Down{ID: a.ID, How: how})
		return
	}
	own := m.own()
	m.over.Add(1)
	go func() {
		defer m.over.Done()
		if m.self.ID < a.ID {
			again, found, err := m.reach(a.Addr, own)
			m.call(func() {
				switch {
				case err == nil && found.ID == a.ID:
					m.linked(again, found)
				case m.links[a.ID] == nil:
					m.step(elastic.Down{ID: a.ID, How: elastic.Reset})
				}
			})
			return
		}
		conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(m.ctx, "tcp", a.Addr)
		if err == nil {
			// It is there, and will dial; meanwhile it waits for our first word. Or it is about to end, and this
			// connection with it.
			stop := context.AfterFunc(m.ctx, func() { conn.Close() })
			conn.SetReadDeadline(time.Now().Add(relink))
			conn.Read(make([]byte, 1))
			stop()
			conn.Close()
		}
		m.call(func() {
			if m.links[a.ID] == nil {
				m.step(elastic.Down{ID: a.ID, How: elastic.Reset})
			}
		})
	}()
}
