package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// One controller writes all of a status, so the API server need not keep whose each field of it is: that was half of a
// job's size, and much of what a write of it costs.
// +structType=atomic

// JobStatus is the record of a job: the budget of restarts lives here, whatever becomes of the objects below.
type JobStatus struct {
	// ObservedGeneration is the generation of the spec that the rest is about.
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Phase is Pending, Starting, Running, Stopping, Succeeded, Failed or Cancelled.
	Phase string `json:"phase,omitempty"`
	// Reason is one word on why it waits, or how it ended.
	Reason string `json:"reason,omitempty"`
	// Message is a sentence on the same.
	Message string `json:"message,omitempty"`
	// GPUs is how many GPUs it asks for, or holds, on all nodes together.
	GPUs int `json:"gpus,omitempty"`
	// Attempt is how many attempts were begun; the living one's number while there is one.
	Attempt int `json:"attempt,omitempty"`
	// RestartsUsed is what the budget was charged with.
	RestartsUsed int `json:"restartsUsed,omitempty"`
	// Preemptions is how often it had to make room.
	Preemptions int `json:"preemptions,omitempty"`
	// Losses is how many attempts in a row were lost with their nodes, or found no room.
	Losses int `json:"losses,omitempty"`
	// Defaults are what the job has that its spec leaves out: as they are while it waits, then as they were when it was first admitted.
	Defaults *Defaults `json:"defaults,omitempty"`
	// Seats are what the living attempt has, one per node in group rank order.
	Seats []Seat `json:"seats,omitempty"`
	// Stop is what was asked of a Stopping job: cancel, preempt or resize; StopFor is whom it makes room for.
	Stop    string `json:"stop,omitempty"`
	StopFor string `json:"stopFor,omitempty"`
	// StopBy is when what still runs of a Stopping job is killed.
	StopBy metav1.MicroTime `json:"stopBy,omitzero"`
	// Reserved are seats that are kept for the job: while others leave them for it, or while it comes back to them.
	Reserved *Reservation `json:"reserved,omitempty"`
	// Started is the begin of the living or last attempt, Served how long those before it ran.
	Started metav1.MicroTime `json:"started,omitzero"`
	Served  metav1.Duration  `json:"served,omitzero"`
	// StuckSince is since when a container of the living attempt cannot be started.
	StuckSince metav1.MicroTime `json:"stuckSince,omitzero"`
	// User is whom its pods run as, since the image's own user cannot be. Default: the image's own.
	User int64 `json:"user,omitempty"`
	// Finished is when the job was over.
	Finished metav1.MicroTime `json:"finished,omitzero"`
	// NotBefore keeps a job that backs off from starting.
	NotBefore metav1.MicroTime `json:"notBefore,omitzero"`
	// CheckpointAt is when the newest acknowledged checkpoint was made.
	CheckpointAt metav1.MicroTime `json:"checkpointAt,omitzero"`
	// Checkpoint is what was acknowledged then.
	Checkpoint *Saved `json:"checkpoint,omitempty"`
	// Result is how the last attempt ended.
	Result *Result `json:"result,omitempty"`
	// Line is where a job that waits stands in line; none of one that does not.
	Line *Line `json:"line,omitempty"`
	// Conditions are Admitted, Running, and Succeeded, Failed or Cancelled.
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// Line is where a waiting job stands in line and when it starts, as far as that can be told. It is told anew where it is off
// by a tenth.
type Line struct {
	// AsOf is when it was so.
	AsOf metav1.Time `json:"asOf"`
	// Place is from 1, in the order in which the planner looks at all that wait, of whatever queue.
	Place int `json:"place,omitempty"`
	// StartsBy is when it starts at the latest, as those ahead of it have said when they end.
	StartsBy metav1.Time `json:"startsBy,omitzero"`
	// Expected is when it starts, as far as past jobs tell.
	Expected *Expected `json:"expected,omitempty"`
}

// Expected is when a job starts: one in ten before Earliest, half of them before Likely, one in ten after Latest.
type Expected struct {
	Earliest metav1.Time `json:"earliest"`
	Likely   metav1.Time `json:"likely"`
	Latest   metav1.Time `json:"latest"`
}

// Seat is what a job has on one node.
type Seat struct {
	// Node is its name.
	Node string `json:"node"`
	// Workers is how many processes run there.
	Workers int `json:"workers"`
	// GPUs are places in the node's account, not devices: the device plugin picks those.
	GPUs []int `json:"gpus,omitempty"`
	// CPU is in thousandths of a logical cpu.
	CPU int64 `json:"cpu,omitempty"`
	// Memory is in MiB.
	Memory int64 `json:"memory,omitempty"`
	// Share is how much memory of its one GPU it has, in MiB. Default: GPUs are whole.
	Share int64 `json:"share,omitempty"`
	// Because says why there.
	Because string `json:"because,omitempty"`
}

// Reservation is what is kept for a job until it starts or gives up.
type Reservation struct {
	// Since is when it asked for them.
	Since metav1.MicroTime `json:"since"`
	// Seats are those that are kept.
	Seats []Seat `json:"seats"`
	// Resize says that the job lives and comes back to exactly these.
	Resize bool `json:"resize,omitempty"`
}

// Saved is saved work that an attempt acknowledged when it was stopped.
type Saved struct {
	// Attempt is the one that saved it.
	Attempt int `json:"attempt"`
	// Step is how far it had come.
	Step int64 `json:"step"`
	// Path is where it lies, as the pods see it.
	Path string `json:"path"`
}

// Result is how an attempt ended.
type Result struct {
	// Attempt is its number.
	Attempt int `json:"attempt"`
	// OK says that it did its work.
	OK bool `json:"ok,omitempty"`
	// Cause is exit, hang, oom, node, preempt, resize, cancel, timeout or setup; empty where it is OK.
	Cause string `json:"cause,omitempty"`
	// Exit is the exit code, or 128 and the signal.
	Exit int `json:"exit,omitempty"`
	// Message is a sentence.
	Message string `json:"message,omitempty"`
	// Ended is when.
	Ended metav1.MicroTime `json:"ended,omitzero"`
}
