package c10d

import (
	"maps"
	"net/netip"
	"slices"
)

// mostAwaited is how many keys of one WAIT are told: ranks wait for each other, and who asks for more should hold up nobody.
const mostAwaited = 4096

// Caller is one connection to the store that has asked for something, and what it is at. Keys are those of the wire.
type Caller struct {
	Addr   netip.AddrPort // of the client
	Asked  int64          // how many requests it has made
	Key    string         // the first key that it named last
	Awaits []string       // what its WAIT, or BARRIER, still misses, sorted; empty: it does not wait, or for more than 4096
}

// Callers tells who is connected and what each waits for, by address. Connections that never asked for anything are left out:
// PyTorch 1.13 and 2.0 open one of those for each client.
func (s *Server) Callers() []Caller {
	s.mu.Lock()
	peers := slices.Collect(maps.Keys(s.peers))
	s.mu.Unlock()
	var list []Caller
	for _, p := range peers {
		addr, err := netip.ParseAddrPort(p.addr.String())
		if err != nil {
			continue
		}
		c := p.store.view(&p.caller)
		c.Addr = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
		if c.Asked > 0 {
			slices.Sort(c.Awaits)
			list = append(list, c)
		}
	}
	slices.SortFunc(list, func(a, b Caller) int { return a.Addr.Compare(b.Addr) })
	return list
}

// Counter is the value of a key that is counted by ADD; 0 where there is none.
func (s *Server) Counter(key string) int64 {
	s.mu.Lock()
	store := s.store
	s.mu.Unlock()
	store.mu.Lock()
	defer store.mu.Unlock()
	return leadingInt(string(store.data[key]))
}

// view is what the store knows of a caller; Awaits is in no order.
func (s *store) view(c *caller) Caller {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := Caller{Asked: c.asked, Key: c.key}
	if c.wait != nil && len(c.wait.missing) <= mostAwaited {
		v.Awaits = slices.Collect(maps.Keys(c.wait.missing))
	}
	return v
}
