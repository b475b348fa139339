package c10d

import (
	"net/netip"
	"slices"
)

// Caller is one connection to the store that has asked for something, and what it is at. Keys are those of the wire.
type Caller struct {
	Addr   netip.AddrPort // of the client
	Asked  int64          // how many requests it has made
	Key    string         // the first key that it named last
	Awaits []string       // what its WAIT, or BARRIER, still misses, sorted; empty: it does not wait
}

// Callers tells who is connected and what each waits for, by address. Connections that never asked for anything are left out:
// PyTorch 1.13 and 2.0 open one of those for each client.
func (s *Server) Callers() []Caller {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []Caller
	for p := range s.peers {
		addr, err := netip.ParseAddrPort(p.addr.String())
		if err != nil {
			continue
		}
		c := p.store.view(&p.caller)
		c.Addr = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
		if c.Asked > 0 {
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

// view is what the store knows of a caller.
func (s *store) view(c *caller) Caller {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := Caller{Asked: c.asked, Key: c.key}
	if c.wait != nil {
		for key := range c.wait.missing {
			v.Awaits = append(v.Awaits, key)
		}
		slices.Sort(v.Awaits)
	}
	return v
}
