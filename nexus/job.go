package nexus

import (
	"fmt"
	"slices"
	"time"
)

// Job is a Spec that was acknowledged, and where it stands. It is what the planner sees of it: what
// only the place needs to start it (the captured environment) stays in the place's records.
type Job struct {
	ID        string    `json:"id"` // random, never reused
	Spec      Spec      `json:"spec"`
	User      string    `json:"user"`
	Submitted time.Time `json:"submitted"`
	Phase     Phase     `json:"phase"`

	Attempt      int `json:"attempt"`       // attempts begun; the live one's number while there is one
	RestartsUsed int `json:"restarts_used"` // charged to Spec.Restart.Max
	Preemptions  int `json:"preemptions"`

	// Placement is the live attempt's allocation; nil unless Phase is Starting, Running or Stopping.
	Placement *Placement `json:"placement,omitempty"`
	Started   time.Time  `json:"started,omitzero"` // of the live or last attempt
	// Served is how long the attempts before the live or last one ran.
	Served   Duration  `json:"served,omitempty"`
	Finished time.Time `json:"finished,omitzero"`
	// NotBefore keeps a job that backs off from being placed.
	NotBefore time.Time `json:"not_before,omitzero"`
	// HeldBy is the user who keeps a Pending job from starting until it is released; empty: nobody does.
	HeldBy string `json:"held_by,omitempty"`
	// After are the jobs that have to be over before it may start, as Spec.After was resolved at submit.
	After []Dependency `json:"after,omitempty"`
	// Growth is what it asks for beyond Spec; nil: nothing.
	Growth *Growth `json:"growth,omitempty"`
	// Member is its place in an array; nil: it is none's.
	Member *Member `json:"member,omitempty"`
	// Stop is what was asked of a Stopping job.
	Stop StopKind `json:"stop,omitempty"`
	// StopFor is whom a job yields to while it stops, itself where it grows: [Eviction].For.
	StopFor string `json:"stop_for,omitempty"`
	// CheckpointAt is when the newest acknowledged or found checkpoint was made; zero: none known.
	CheckpointAt time.Time `json:"checkpoint_at,omitzero"`
	// Result tells how the last attempt ended; nil before the first ending.
	Result *Result `json:"result,omitempty"`
}

// Type is what kind of work a job is: a preference, never a permission.
type Type string

// The four types.
const (
	Training      Type = "training"
	Inference     Type = "inference"
	Preprocessing Type = "preprocessing"
	Evaluation    Type = "evaluation"
)

// Types lists them in the order of the documentation.
func Types() []Type { return []Type{Training, Inference, Preprocessing, Evaluation} }

// UnmarshalText refuses an unknown type.
func (t *Type) UnmarshalText(text []byte) error {
	if !slices.Contains(Types(), Type(text)) {
		return fmt.Errorf("%q is none of training, inference, preprocessing, evaluation", text)
	}
	*t = Type(text)
	return nil
}

// Priority decides first. Higher is more urgent.
type Priority int

// The priorities; the zero value is normal.
const (
	Low Priority = iota - 1
	Normal
	High
	Critical
)

var priorityNames = []string{"low", "normal", "high", "critical"}

// String names the priority.
func (p Priority) String() string {
	if p < Low || p > Critical {
		return fmt.Sprintf("priority(%d)", int(p))
	}
	return priorityNames[p-Low]
}

// MarshalText writes the name.
func (p Priority) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads a name.
func (p *Priority) UnmarshalText(text []byte) error {
	i := slices.Index(priorityNames, string(text))
	if i < 0 {
		return fmt.Errorf("%q is none of low, normal, high, critical", text)
	}
	*p = Low + Priority(i)
	return nil
}

// Phase is where a job stands.
type Phase string

// The phases. A job is over in the last three.
const (
	Pending   Phase = "Pending"
	Starting  Phase = "Starting"
	Running   Phase = "Running"
	Stopping  Phase = "Stopping"
	Succeeded Phase = "Succeeded"
	Failed    Phase = "Failed"
	Cancelled Phase = "Cancelled"
)

// Over reports whether the job will never run again unless it is requeued.
func (p Phase) Over() bool { return p == Succeeded || p == Failed || p == Cancelled }

// Live reports whether an attempt of the job may hold devices.
func (p Phase) Live() bool { return p == Starting || p == Running || p == Stopping }

// StopKind says who asked an attempt to stop.
type StopKind string

// A cancelled job ends; a preempted one goes back to Pending with its work kept, and so does an elastic one that is to
// go on with more or fewer nodes; one that takes more GPU memory than its share, and wants to be ended for it, fails.
const (
	StopShare   StopKind = "share"
	StopCancel  StopKind = "cancel"
	StopPreempt StopKind = "preempt"
	StopResize  StopKind = "resize"
)
