package sim

import (
	"cmp"
	"math/rand"
	"time"

	"ainexus.io/nexus"
)

const day = 24 * time.Hour

// failFrom has nodes lost and come back from the start on. Each node has its own sequence of random
// numbers, so that what the planner does has no influence on when machines break.
func (s *Sim) failFrom(nodes []nexus.Node) {
	if s.options.Failures <= 0 {
		return
	}
	for i, n := range nodes {
		f := &failing{name: n.Name, random: rand.New(rand.NewSource(s.options.Seed*1_000_003 + int64(i)))}
		s.failNext(f)
	}
}

// failing is a node that breaks now and then.
type failing struct {
	name   string
	random *rand.Rand
}

// wait draws how long it takes until something that happens every so often happens.
func (f *failing) wait(mean time.Duration) time.Duration {
	return time.Duration(f.random.ExpFloat64() * float64(mean))
}

func (s *Sim) failNext(f *failing) {
	s.after(f.wait(time.Duration(float64(day)/s.options.Failures)), func() {
		s.turn(f.name, nexus.Lost)
		s.after(f.wait(cmp.Or(s.options.Repair, time.Hour)), func() {
			s.turn(f.name, nexus.Ready)
			s.failNext(f)
		})
	})
}

// turn changes the state of a node that is still there.
func (s *Sim) turn(name string, state nexus.NodeState) {
	if n, ok := s.nodes[name]; ok {
		n.State = state
		s.setNode(n)
	}
}
