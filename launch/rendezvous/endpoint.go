package rendezvous

import (
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"ainexus.io/launch/elastic"
	"ainexus.io/nexus"
)

// How often the endpoint is looked at: by who looks for the meeting, and by a leader that is somewhere else and
// wants to be found.
const (
	seekEvery  = 100 * time.Millisecond
	guardEvery = 250 * time.Millisecond
)

// look goes to the endpoint where that can help.
func (m *Meeting) look() {
	now := m.clock.Mono()
	if now < m.visit {
		return
	}
	m.visit = now + guardEvery
	role, _ := m.core.Role()
	if m.finished || m.visiting || m.held || role == elastic.Following {
		return
	}
	if role == elastic.Seeking && m.core.Base() == nil {
		m.visit = now + seekEvery
	} else if m.atEnd != "" && m.links[m.atEnd] != nil {
		return // who is there is one of us
	}
	m.visiting = true
	own, bind := m.own(), role == elastic.Leading || m.core.Base() == nil
	m.over.Add(1)
	go func() {
		defer m.over.Done()
		m.visitEndpoint(own, bind)
	}()
}

// visitEndpoint binds the endpoint, or dials who has bound it.
func (m *Meeting) visitEndpoint(own hello, bind bool) {
	if bind {
		if l, host, err := m.bind(); err == nil {
			m.call(func() { m.hold(l, host) })
			return
		}
	}
	l, found, err := m.reach(m.opts.Endpoint, own)
	m.call(func() {
		m.visiting = false
		if err != nil {
			m.unmet(err)
			return
		}
		m.atEnd = found.ID
		if m.links[found.ID] != nil {
			l.close()
			return
		}
		m.linked(l, found)
	})
}

// bind listens at the endpoint, where that is an address of this machine, and returns the host that is to be known
// to the others. A name that this machine has for itself on its loopback alone (as Debian's /etc/hosts has it) means
// all addresses.
func (m *Meeting) bind() (net.Listener, string, error) {
	host, port, _ := net.SplitHostPort(m.opts.Endpoint)
	if m.opts.IsHost {
		l, err := net.Listen("tcp", ":"+port)
		return l, m.opts.LocalAddr, err
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, port))
	if err != nil {
		return nil, "", err
	}
	bound := hostOf(l.Addr())
	if isLoopback(bound) && !isLoopback(host) {
		l.Close()
		l, err = net.Listen("tcp", ":"+port)
		return l, outward(), err
	}
	return l, bound, nil
}

// outward is an address of this machine that others may know; the route to a host that is for documentation only
// tells which, and nothing is sent there.
func outward() string {
	conn, err := net.Dial("udp", "192.0.2.1:9")
	if err == nil {
		defer conn.Close()
		return hostOf(conn.LocalAddr())
	}
	addrs, _ := net.InterfaceAddrs()
	for _, a := range addrs {
		if ip, ok := a.(*net.IPNet); ok && ip.IP.IsGlobalUnicast() {
			return ip.IP.String()
		}
	}
	return "127.0.0.1"
}

func (m *Meeting) hold(l net.Listener, host string) {
	m.visiting = false
	if m.finished {
		l.Close()
		return
	}
	m.held, m.met = true, true
	m.serve(l)
	if host == "" {
		host = outward()
	}
	m.meetAt(host)
	m.step(elastic.Host{})
}

// unmet says once what is in the way, and gives up where nothing was ever found.
func (m *Meeting) unmet(err error) {
	var no *refusal
	switch waited := m.clock.Mono() - m.began; {
	case errors.As(err, &no) && !m.met:
		m.fail(no.text)
	case m.met:
	case waited >= m.opts.ConnectTimeout:
		m.fail(fmt.Sprintf("nobody answers at %s: %s", m.opts.Endpoint, plain(err)))
	case waited >= 2*time.Second && !m.told:
		m.told = true
		m.opts.Say(fmt.Sprintf("nobody answers at %s yet: %s; trying for %s", m.opts.Endpoint, plain(err), m.opts.ConnectTimeout))
	}
}

func (m *Meeting) fail(text string) {
	m.finish(elastic.Outcome{Report: elastic.Report{Rank: -1, Exit: 1, Cause: nexus.CauseSetup, Message: clip(text)}})
}

// plain is what a network error comes down to.
func plain(err error) string {
	var dns *net.DNSError
	var code syscall.Errno
	var timeout net.Error
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return "what listens there hangs up, as PyTorch's store would, or a web server behind TLS; the rendezvous has port 29400 unless --rdzv-endpoint names another"
	case errors.As(err, &dns):
		return fmt.Sprintf("the name %s is not known", dns.Name)
	case errors.As(err, &code):
		return code.Error()
	case errors.As(err, &timeout) && timeout.Timeout():
		return "no answer"
	}
	return err.Error()
}
