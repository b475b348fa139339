package elastic

import (
	"time"

	"ainexus.io/nexus"
)

// Message is what agents say to one another. Which fields count depends on Kind.
type Message struct {
	Kind    Kind      `json:"kind"`
	Term    Term      `json:"term"`
	Number  int       `json:"number"` // of a round; -1: none
	Role    Role      `json:"role,omitempty"`
	Leader  *Agent    `json:"leader,omitempty"`
	Agent   *Agent    `json:"agent,omitempty"`
	Base    *Record   `json:"base,omitempty"`
	Pending *Record   `json:"pending,omitempty"`
	First   []*Record `json:"first,omitempty"` // before a round was agreed: all that were offered
	Running int       `json:"running"`         // number of the round whose workers live; -1: none
	Report  *Report   `json:"report,omitempty"`
	Record  *Record   `json:"record,omitempty"`
	Store   string    `json:"store,omitempty"`
	Stop    Stop      `json:"stop,omitempty"`
	Leaving bool      `json:"leaving,omitempty"`
	Outcome *Outcome  `json:"outcome,omitempty"`
	Text    string    `json:"text,omitempty"`
}

// Kind is what a message is about.
type Kind string

// The kinds of messages.
const (
	Status  Kind = "status"  // who I am to the others: Role, Term, Number, Leader
	Join    Kind = "join"    // to a leader: count on me; what I know and what runs here
	Refuse  Kind = "refuse"  // to one who wants to join: Text says why not
	Claim   Kind = "claim"   // may I lead with Term?
	Promise Kind = "promise" // yes, and this is what I know
	Deny    Kind = "deny"    // no: I promised Term, or follow somebody
	Offer   Kind = "offer"   // this is to be the next round
	Accept  Kind = "accept"  // I hold it
	Start   Kind = "start"   // it is agreed: begin
	Failure Kind = "failure" // a worker of mine failed
	Halt    Kind = "halt"    // end the workers of the round
	Ended   Kind = "ended"   // mine are gone
	Over    Kind = "over"    // the job is over
	Bye     Kind = "bye"     // go, or: I go
)

// Role is what an agent is to the others.
type Role string

// The roles.
const (
	Seeking   Role = "seeking"
	Following Role = "following"
	Leading   Role = "leading"
)

// Stop is how workers are to be ended; a later one may be harder, never softer.
type Stop int

// The ways to end workers, from soft to hard.
const (
	StopNone Stop = iota
	StopSave      // TERM, and time for a checkpoint: all of them are alive
	StopFail      // TERM, and two seconds: they sit in a dead collective
	StopKill      // KILL: they must save nothing any more
)

// SurvivorGrace is how long the survivors of a failed round get from TERM to KILL.
const SurvivorGrace = 2 * time.Second

// Report is how the workers of a round ended on one node.
type Report struct {
	OK bool `json:"ok"`
	// Cause, where it is not OK; empty where they ended because they were told to.
	Cause   nexus.Cause   `json:"cause,omitempty"`
	Rank    int           `json:"rank"` // global
	Exit    int           `json:"exit"`
	Message string        `json:"message,omitempty"`
	Tail    []string      `json:"tail,omitempty"`
	OutOf   nexus.OutOf   `json:"out_of,omitempty"`
	Proof   Evidence      `json:"proof,omitempty"` // that the worker is the root cause
	Fault   *nexus.Fault  `json:"fault,omitempty"` // what else is known of it
	Age     time.Duration `json:"age,omitempty"`   // how long before the report was sent the worker failed
}

// Evidence is how much speaks for a worker's failure being nobody else's consequence.
type Evidence int

// The kinds of evidence, from weak to strong.
const (
	Followed Evidence = iota // it says that another worker was gone
	Unsaid                   // it just ended, or by a signal that others send
	Own                      // it told its error, crashed, or was killed
)

// Outcome is how the job ended.
type Outcome struct {
	Report
	Node string `json:"node,omitempty"` // of the worker to blame
	Left bool   `json:"left,omitempty"` // it goes on without this node
}

// How is the way in which an agent was lost.
type How int

// The ways to lose an agent.
const (
	Reset   How = iota + 1 // its kernel said that it is gone: seen to die
	Silent                 // nothing is heard: dead, cut off or stuck
	Goodbye                // it said so
)
