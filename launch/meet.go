package launch

import (
	"time"

	"ainexus.io/launch/elastic"
)

// Meet says where and how the agents of several nodes meet. Without an endpoint this node is all there is.
type Meet struct {
	Endpoint  string // host:port; who can bind it serves
	Min, Max  int    // nodes
	Rank      int    // group rank that this node asks for; -1: any
	LocalAddr string // address at which the others reach this node; empty: the one on the way to the endpoint
	IsHost    bool   // this node is the endpoint, whatever its addresses say
	Token     string // of those who may join; empty: who knows the run's id may

	LastCall       time.Duration // how long to wait for more than Min; default 5 s
	JoinTimeout    time.Duration // how long to wait for Min; default 10 min
	ConnectTimeout time.Duration // how long to look for the endpoint; default 60 s
	Beat, Silence  time.Duration // see rendezvous.Timing; default 250 ms and 1.5 s
	Takeover       bool          // half of the nodes may go on without knowing what became of the others
}

func (m Meet) settings(a *agent) elastic.Settings {
	s := elastic.Defaults()
	s.Min, s.Max, s.Takeover = m.Min, m.Max, m.Takeover
	s.Budget, s.Restart, s.Backoff = a.order.RestartsLeft, a.order.Spec.Restart, a.backoff
	if m.LastCall > 0 {
		s.LastCall = m.LastCall
	}
	if m.JoinTimeout > 0 {
		s.JoinTimeout = m.JoinTimeout
	}
	if m.Beat > 0 {
		s.Fence = 2*m.Beat + s.Fence/2
	}
	return s
}
