package nexus

import (
	"fmt"
	"time"
)

// Plan is what to do about a Snapshot. It names only what changed since the last one.
type Plan struct {
	Version uint64        `json:"version"` // of the snapshot it was made from
	At      time.Time     `json:"at"`
	Place   []Placement   `json:"place,omitempty"`
	Evict   []Eviction    `json:"evict,omitempty"`
	Hold    []Hold        `json:"hold,omitempty"`
	Reserve []Reservation `json:"reserve,omitempty"` // changed; one without seats is released
	// Wake is when the planner wants to be asked again though nothing changes; zero: never.
	Wake time.Time `json:"wake,omitzero"`
}

// Empty reports whether there is nothing to do and nothing to tell.
func (p Plan) Empty() bool { return len(p.Place)+len(p.Evict)+len(p.Hold)+len(p.Reserve) == 0 }

// Placement gives one attempt of a job all its seats.
type Placement struct {
	Job     string `json:"job"`
	Attempt int    `json:"attempt"`
	Seats   []Seat `json:"seats"` // one per node, in group rank order
}

// Seat is what a gang gets on one node.
type Seat struct {
	Node    string    `json:"node"`
	Workers int       `json:"workers"`
	GPUs    []SeatGPU `json:"gpus,omitempty"`  // ascending by index; worker i owns entries i*G/W .. (i+1)*G/W-1
	Share   MiB       `json:"share,omitempty"` // of GPUs[0]; 0: the GPUs are whole
	CPU     CPU       `json:"cpu"`
	Memory  MiB       `json:"memory,omitempty"`
	// Because says in a clause why these devices: "least utilised (10 %)", "4 workers on 2 cpu slots".
	Because string `json:"because"`
}

// SeatGPU names a device of the seat's node.
type SeatGPU struct {
	Index int    `json:"index"`
	UUID  string `json:"uuid,omitempty"`
}

// Eviction asks a running job for its seats.
type Eviction struct {
	Job     string `json:"job"`
	Attempt int    `json:"attempt"`
	For     string `json:"for"` // the job that the capacity is reserved for; itself, where it grows
	// Nodes is how many nodes it comes back to at once, as an elastic job that is resized; 0: it is preempted.
	Nodes int `json:"nodes,omitempty"`
}

// Stop is what the job is asked to do.
func (e Eviction) Stop() StopKind {
	if e.Nodes > 0 {
		return StopResize
	}
	return StopPreempt
}

// Sentence says it in words, of a job that has so many nodes: "its seats go to b", "resized from 2 to 4 nodes".
func (e Eviction) Sentence(nodes int) string {
	if e.Nodes == 0 {
		return "its seats go to " + e.For
	}
	text := fmt.Sprintf("resized from %d to %s", nodes, plural(int64(e.Nodes), "node"))
	if e.For != e.Job {
		text += ", the rest goes to " + e.For
	}
	return text
}

// Reservation keeps seats for a job until it starts or gives up.
type Reservation struct {
	Job   string    `json:"job"`
	Since time.Time `json:"since,omitzero"`
	Seats []Seat    `json:"seats,omitempty"`
	// Resize says that the job stops, or has just stopped, in order to come back to exactly these seats.
	Resize bool `json:"resize,omitempty"`
}

// Hold says that a job waits, and why.
type Hold struct {
	Job    string `json:"job"`
	Reason Reason `json:"reason"`
	// Start is when it is expected to start: told when it begins to wait for its turn, and stands until a hold of it has
	// another one, or a reason that is not [ReasonCode.InLine].
	Start *Estimate `json:"start,omitempty"`
	// Place is where it stood in line when this was told, from 1.
	Place int `json:"place,omitempty"`
}

// Reason is why a job waits: a code and the exact shortfall. It is comparable.
type Reason struct {
	Code ReasonCode `json:"code"`
	// Resource is what is short: "gpus", "gpu_memory", "cpu", "memory", "nodes"; for [WaitAfter] the ending that is
	// awaited: "success", "any".
	Resource string `json:"resource,omitempty"`
	Need     int64  `json:"need,omitempty"` // GPUs, MiB or thousandths of a CPU; jobs for [WaitAfter] and [WaitArray]
	Have     int64  `json:"have,omitempty"` // the most that any one node offers; of the jobs, those that are over or run
	Node     string `json:"node,omitempty"` // the node that offers it
	// Within is where all of it has to be together, as the job requires: "island", "rack", "block".
	Within Level  `json:"within,omitempty"`
	Job    string `json:"job,omitempty"` // the job that stands in the way
	// Queue is whose limit holds the job, User whose in it (or who holds the job), and Cohort the parent whose pool is short
	// where it is not the queue's own limit. Model is what of the quota is meant; empty: all GPUs.
	Queue  string `json:"queue,omitempty"`
	Cohort string `json:"cohort,omitempty"`
	User   string `json:"user,omitempty"`
	Model  string `json:"model,omitempty"`
	// Used of Limit is taken; Borrow of the limit is beyond the quota.
	Used   int64 `json:"used,omitempty"`
	Limit  int64 `json:"limit,omitempty"`
	Borrow int64 `json:"borrow,omitempty"`
	// Until is when the reason ends by itself, where that is known.
	Until time.Time `json:"until,omitzero"`
	// Yields is the live job that will be asked for its seats at From: when it has run for Runs, which is as long as its
	// queue has it run at least; where that is 0, when others are gone whose seats are needed too. Without From it is one
	// that would be asked, had it not been preempted as often as its queue allows.
	Yields string    `json:"yields,omitempty"`
	From   time.Time `json:"from,omitzero"`
	Runs   Duration  `json:"runs,omitempty"`
}

// ReasonCode is the machine-readable kind of a [Reason].
type ReasonCode string

// Why a job waits.
const (
	WaitCapacity ReasonCode = "capacity" // enough exists, but others hold it
	WaitBehind   ReasonCode = "behind"   // would fit, but Job is first in line for it
	WaitUnfit    ReasonCode = "unfit"    // no node is large enough
	WaitNodes    ReasonCode = "nodes"    // the nodes that could take it are not Ready
	WaitDevice   ReasonCode = "device"   // the devices that could take it are not well
	WaitBackoff  ReasonCode = "backoff"  // it failed and waits before the next try
	WaitPreempt  ReasonCode = "preempt"  // its seats are reserved; Job is being stopped for it
	WaitThrift   ReasonCode = "thrift"   // a part of an idle GPU is all there is, and the last idle ones are kept whole
	WaitQueue    ReasonCode = "queue"    // its queue does not exist (any more)
	WaitQuota    ReasonCode = "quota"    // its queue, or the cohort, has no more for it
	WaitUser     ReasonCode = "user_limit"
	WaitHeld     ReasonCode = "held"  // User holds it until somebody releases it
	WaitAfter    ReasonCode = "after" // Job, or the array of that id, has to be over first
	WaitArray    ReasonCode = "array" // as many members of its array run as may run at once
)

// InLine reports whether a job waits for others to make room, on nodes or in its queue's limits, and for nothing else: then
// its start can be estimated.
func (c ReasonCode) InLine() bool {
	return c == WaitCapacity || c == WaitBehind || c == WaitPreempt || c.Limited()
}

// Limited reports whether it is the limits of its queue or its user that a job waits for.
func (c ReasonCode) Limited() bool { return c == WaitQuota || c == WaitUser }

// Why is the whole answer to "why does my job wait?", made on demand.
type Why struct {
	Job      string `json:"job"`
	Phase    Phase  `json:"phase"`
	Reason   Reason `json:"reason"`
	Sentence string `json:"sentence"`
	// Position is the job's place in line, from 1; 0 when it does not wait.
	Position int `json:"position,omitempty"`
	// Start is when it starts at the latest, as those ahead of it have said when they end; zero: nobody has.
	Start time.Time `json:"start,omitzero"`
	// Expected is when it will start, as far as can be told; nil: it does not wait for its turn.
	Expected *Estimate `json:"expected,omitempty"`
	Fix      *Fix      `json:"fix,omitempty"`
	// AsOf is when Position, Start and Expected were told by a place that writes them down; zero: as of now.
	AsOf time.Time `json:"as_of,omitzero"`
	// Notes are what its past teaches: that it asks for more than its file, what it used of what it asked for.
	Notes []string `json:"notes,omitempty"`
}

// Unknown says why there is no telling when a job starts that has neither Start nor Expected.
func (w Why) Unknown() string {
	switch {
	case w.Reason.Code.InLine():
		return "those ahead of it have not said when they end (max_duration), and too few jobs have ended here to expect it of others"
	case w.Reason.Code == "":
		return "nobody has looked yet"
	}
	return "it does not wait for its turn"
}

// Fix is a change to the job that would start it now.
type Fix struct {
	Set      map[string]string `json:"set"` // as `--set` takes it: {"resources.gpus": "4"}
	Sentence string            `json:"sentence"`
}
