package nexus

import "time"

// Snapshot is all that the planner may know, at one instant. Jobs that are over are not in it. The
// order of its slices carries no meaning.
type Snapshot struct {
	Version uint64    `json:"version"`
	At      time.Time `json:"at"` // never goes back
	Nodes   []Node    `json:"nodes"`
	Jobs    []Job     `json:"jobs"`
	Queues  []Queue   `json:"queues"`
	// Use is what users had of queues, decayed.
	Use []QueueUse `json:"use,omitempty"`
	// Reserve is what plans have reserved so far and not released.
	Reserve []Reservation `json:"reserve,omitempty"`
	// History is what past jobs taught; nil: nothing.
	History *History `json:"history,omitempty"`
}

// Delta is what changed since the version before. A place yields a Full one first.
//
// Every job that a Plan places or evicts comes back in a later Delta, as it then stands, whether the decision was
// carried out or dropped: the planner counts a decision as taken until that answer.
type Delta struct {
	Version uint64 `json:"version"`
	// Full says: forget everything, this is all there is.
	Full      bool     `json:"full,omitempty"`
	Jobs      []Job    `json:"jobs,omitempty"`       // new or changed
	GoneJobs  []string `json:"gone_jobs,omitempty"`  // ids; over or deleted
	Nodes     []Node   `json:"nodes,omitempty"`      // new or changed
	GoneNodes []string `json:"gone_nodes,omitempty"` // names
	Queues    []Queue  `json:"queues,omitempty"`     // all of them when any changed
	// Use is all of it when any changed.
	Use []QueueUse `json:"use,omitempty"`
	// Reserve is what plans had reserved when the place was last told, with a Full delta only, by places that keep record of it.
	Reserve []Reservation `json:"reserve,omitempty"`
	// History replaces the one before; nil: it is as it was.
	History *History `json:"history,omitempty"`
}

// Empty reports whether the delta says nothing.
func (d Delta) Empty() bool {
	return !d.Full && len(d.Jobs)+len(d.GoneJobs)+len(d.Nodes)+len(d.GoneNodes)+len(d.Queues)+len(d.Use) == 0 && d.History == nil
}
