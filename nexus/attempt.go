package nexus

import "time"

// Epoch is the fencing token of an attempt's checkpoints: attempts from 1, then rounds from 0.
type Epoch struct {
	Attempt int `json:"attempt"`
	Round   int `json:"round"`
}

// Less compares attempts, then rounds.
func (e Epoch) Less(o Epoch) bool {
	return e.Attempt < o.Attempt || e.Attempt == o.Attempt && e.Round < o.Round
}

// Cause is why a round or an attempt ended.
type Cause string

// The causes. Exit, hang and oom are charged to the budget; node, preempt and resize never.
const (
	CauseOOM     Cause = "oom"     // it ran out of memory, the machine's or a GPU's
	CauseExit    Cause = "exit"    // a worker ended with a code or a signal
	CauseHang    Cause = "hang"    // no progress for Spec.NoProgress
	CauseNode    Cause = "node"    // the agent or the machine went away
	CausePreempt Cause = "preempt" // the planner asked for the seats
	CauseResize  Cause = "resize"  // it goes on with more or fewer nodes
	CauseCancel  Cause = "cancel"  // the user stopped it
	CauseTimeout Cause = "timeout" // Spec.MaxDuration is over
	CauseSetup   Cause = "setup"   // setup failed, or the program could not be started
	CauseShare   Cause = "share"   // it took more GPU memory than its share, which Resources.Enforce forbids
	CauseAfter   Cause = "after"   // a job that had to succeed first did not
)

// Charged reports whether the budget pays for a restart after this cause.
func (c Cause) Charged() bool { return c == CauseExit || c == CauseHang || c == CauseOOM }

// Order is what a place hands to the agent of an attempt: everything it needs and nothing it may change.
// Secrets are not in it: the agent resolves references itself.
type Order struct {
	Job          string            `json:"job"`
	Attempt      int               `json:"attempt"`
	User         string            `json:"user"`
	Spec         Spec              `json:"spec"`
	Seat         Seat              `json:"seat"`
	Workdir      string            `json:"workdir"` // absolute
	Env          map[string]string `json:"env"`     // captured at submit; Spec.Env comes on top
	RestartsLeft int               `json:"restarts_left"`
	Member       *Member           `json:"member,omitempty"` // of an array
	// Limits says whether memory and CPU limits are to be put on a cgroup where that can be done.
	Limits bool `json:"limits"`
	// Logs bounds what is kept of the workers' output.
	Logs LogBounds `json:"logs,omitzero"`
}

// LogBounds is how much is kept of what each worker writes; zero fields are the agent's to choose.
type LogBounds struct {
	Size  int64 `json:"size,omitempty"`  // when a file is full, in bytes; -1: never
	Files int   `json:"files,omitempty"` // how many are kept, with the one that is being written
}

// StopOrder asks an agent to end its attempt: TERM, the checkpoint's grace, then KILL.
type StopOrder struct {
	Kind  StopKind `json:"kind"`
	Grace Duration `json:"grace"`
}

// Agent is the identity of an attempt's agent: a pid alone may be reused.
type Agent struct {
	Boot   string `json:"boot"` // boot id of the machine
	PID    int    `json:"pid"`
	Start  uint64 `json:"start"` // start time in ticks since boot
	Keeper int    `json:"keeper"`
	Cgroup string `json:"cgroup,omitempty"` // path, where the attempt has one
}

// Round is one round of an attempt as its agent recorded it, durably, before it began.
type Round struct {
	Number int       `json:"number"` // from 0
	Began  time.Time `json:"began"`
	// Cause and Ending tell how it ended; empty while it runs.
	Cause  Cause  `json:"cause,omitempty"`
	Ending string `json:"ending,omitempty"`
}

// Rounds is the record of the budget that every agent keeps.
type Rounds struct {
	RestartsLeft int     `json:"restarts_left"`
	Rounds       []Round `json:"rounds"`
}

// Status is what an agent tells about a living attempt; it is replaced whole.
type Status struct {
	State   AgentState     `json:"state"`
	Round   int            `json:"round"`
	Workers []WorkerStatus `json:"workers,omitempty"`
	Renewed time.Time      `json:"renewed"` // the lease: a hint to look, never a verdict
	// Master is the address of the round's key-value store.
	Master string `json:"master,omitempty"`
	// Suspects are the ranks that seem to keep the others waiting now.
	Suspects []Suspect `json:"suspects,omitempty"`
	// Notes are what the user should know: limits that could not be set, fields that do nothing here.
	Notes []string `json:"notes,omitempty"`
}

// AgentState says what an agent is doing.
type AgentState string

// The states of an agent, in the order in which they usually come.
const (
	AgentSetup    AgentState = "setup"
	AgentRunning  AgentState = "running"
	AgentBackoff  AgentState = "backoff" // between rounds
	AgentStopping AgentState = "stopping"
	AgentDone     AgentState = "done"
)

// WorkerStatus is one worker as its agent sees it.
type WorkerStatus struct {
	Rank      int    `json:"rank"`
	LocalRank int    `json:"local_rank"`
	PID       int    `json:"pid,omitempty"`
	Exit      *int   `json:"exit,omitempty"`   // exit code, once it ended by itself
	Signal    string `json:"signal,omitempty"` // "SIGKILL", where a signal ended it
}

// Result is how an attempt ended. The agent writes it last; where there is none, the cause is node.
type Result struct {
	Attempt int   `json:"attempt"`
	OK      bool  `json:"ok"`
	Cause   Cause `json:"cause,omitempty"` // empty when OK
	// Rank is the worker that ended first; -1 where no worker is to blame.
	Rank int `json:"rank"`
	// Exit is what `nexus run` exits with: the root cause's code, 128 + signal, or 1.
	Exit int `json:"exit"`
	// Message is one sentence in words: "rank 2 was killed by SIGKILL by the kernel's OOM killer, memory limit 4 GiB".
	Message string    `json:"message"`
	Tail    []string  `json:"tail,omitempty"`  // the last lines of the rank to blame, at most 20; after a hang its stack, innermost first
	Fault   *Fault    `json:"fault,omitempty"` // of the worker to blame, where one failed
	Ended   time.Time `json:"ended"`
	Round   int       `json:"round"`   // the last one
	Charged int       `json:"charged"` // rounds that the budget pays for
	Ack     *Ack      `json:"ack,omitempty"`
	// LostSeconds is work done since the last checkpoint when a stop found no acknowledgement; -1 unknown.
	LostSeconds int64 `json:"lost_seconds"`
	// OutOf says which memory was used up, where the cause is oom.
	OutOf OutOf `json:"out_of,omitempty"`
	// What the attempt had asked for and the most that it was seen to use: memory on one node, memory of one GPU.
	// 0: it asked for none; nobody measured it.
	AskedMemory    MiB `json:"asked_memory,omitempty"`
	PeakMemory     MiB `json:"peak_memory,omitempty"`
	AskedGPUMemory MiB `json:"asked_gpu_memory,omitempty"`
	PeakGPUMemory  MiB `json:"peak_gpu_memory,omitempty"`
}

// Event is something that happened to a job, told afterwards.
type Event struct {
	Seq     uint64    `json:"seq"` // grows by one per event of a place
	At      time.Time `json:"at"`
	Job     string    `json:"job"`
	Attempt int       `json:"attempt,omitempty"`
	Kind    EventKind `json:"kind"`
	Message string    `json:"message"`
}

// EventKind is what kind of thing happened.
type EventKind string

// The kinds of events.
const (
	EventPhase EventKind = "phase" // the phase changed
	EventHold  EventKind = "hold"  // the reason for waiting changed
	EventRound EventKind = "round" // the workers were restarted
	EventNote  EventKind = "note"  // anything else worth a line
)
