package collective

import (
	"crypto/rand"
	"os"
	"slices"
	"time"
)

// offered is the memory that this rank lays out for the others of its host, before it knows who they are.
type offered struct {
	segment *segment
	fd      int  // by which they reach it
	open    bool // the descriptor is
	why     error
}

// spot is where a rank is in the layout.
type spot struct{ host, place int }

// offer lays the memory out and writes into the seat how to find it.
func (g *Group) offer(c Config, mine *seat) {
	if !c.TCP {
		mine.host, g.offered.why = hostIdentity()
	}
	if mine.host != "" {
		token := make([]byte, tokenSize)
		rand.Read(token)
		mine.pid, mine.fd, mine.token = os.Getpid(), -1, string(token)
		o := &g.offered
		if o.segment, o.fd, o.why = newSegment(token); o.why == nil {
			o.open, mine.fd = true, o.fd
		}
	}
	if c.seated != nil {
		c.seated(mine)
	}
}

// arrange finds out who is on which host, and maps the memory of those on this one.
func (g *Group) arrange(seats []seat) [][]int {
	groups := hosts(seats)
	g.spots = make([]spot, len(seats))
	for h, ranks := range groups {
		for place, rank := range ranks {
			g.spots[rank] = spot{h, place}
		}
	}
	here := groups[g.spots[g.rank].host]
	if len(here) == 1 {
		g.withdraw()
		return groups
	}
	if g.offered.why == nil {
		g.local, g.offered.why = newLocal(g, here, g.offered.segment, seats)
	}
	return groups
}

// withdraw closes the way to this rank's memory, and gives it back if nobody here uses it.
func (g *Group) withdraw() {
	if g.offered.open {
		closeDescriptor(g.offered.fd)
		g.offered.open = false
	}
	if s := g.offered.segment; s != nil && g.local == nil {
		dropMemory(s.mem)
	}
	g.offered.segment = nil
}

// share begins to use memory if every rank has reached what it needs. One that has not keeps all of them from it: the
// ranks must agree on the way.
func (g *Group) share(limit time.Duration) error {
	if len(g.hosts) == g.size {
		return nil // nobody has a neighbour
	}
	here := g.hosts[g.spots[g.rank].host]
	votes, mine := make([]byte, g.size), []byte{1}
	if len(here) > 1 && g.local == nil {
		mine[0] = 0
	}
	if err := g.begin(header{kind: kindAllGather, elem: elemByte, bytes: uint64(len(votes))}, limit); err != nil {
		return err
	}
	if err := g.end(g.gather(votes, mine, elemByte)); err != nil {
		return err
	}
	g.shared = !slices.Contains(votes, 0)
	for _, rank := range here {
		if votes[rank] == 0 { // of several here, one tells it
			if rank == g.rank {
				g.log.Warn("the ranks of this host talk over TCP: they cannot share memory", "reason", g.offered.why)
			}
			break
		}
	}
	if !g.shared && g.local != nil {
		g.local.close()
	}
	g.withdraw()
	return nil
}
