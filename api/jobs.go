package api

import (
	"context"
	"io"
	"strings"
	"time"

	"ainexus.io/nexus"
)

// Jobs is what the API asks of the place where jobs run. A ref is a job's id, a unique prefix of it of at
// least four characters, or a name: then the newest job of that name that is not over, else the newest. The id
// or name of an array means its members: all of them for [Control], else the first that waits or runs.
// Errors are [nexus.Error].
type Jobs interface {
	// Submit makes the job durable before it returns.
	Submit(ctx context.Context, s Submission) (nexus.Job, error)
	Job(ctx context.Context, ref string) (JobView, error)
	// List returns jobs by submit time, newest first.
	List(ctx context.Context, f Filter) ([]JobView, error)
}

// Changed is a job as it stands after a change. Where the reference meant an array, the change was for all its members
// that allow it, and this is the first of them.
type Changed struct {
	nexus.Job
	// Members is how many members of an array were changed; 0 for a single job.
	Members int `json:"members,omitempty"`
}

// Control changes what a job does. The change is durable when the call returns; the job follows.
type Control interface {
	Cancel(ctx context.Context, ref string) (Changed, error)
	Requeue(ctx context.Context, ref string) (Changed, error)
	SetPriority(ctx context.Context, ref string, p nexus.Priority) (Changed, error)
	// Hold keeps a Pending job from starting until it is released; by is who asks.
	Hold(ctx context.Context, ref, by string) (Changed, error)
	Release(ctx context.Context, ref string) (Changed, error)
}

// Fleet tells what the place has.
type Fleet interface {
	Nodes(ctx context.Context) ([]NodeView, error)
}

// Queues are what jobs wait in. The change is durable when a call returns.
type Queues interface {
	Queues(ctx context.Context) ([]nexus.QueueState, error)
	// ApplyQueues adds queues and replaces those of the same name, all or none.
	ApplyQueues(ctx context.Context, queues []nexus.Queue) (QueueChanges, error)
	DeleteQueue(ctx context.Context, name string) error
	// History tells what was had since a time: by "queue", by "user", or by both where by is empty.
	History(ctx context.Context, by string, since time.Time) ([]nexus.QueueHistory, error)
}

// Checkpoints are the work that a job saved.
type Checkpoints interface {
	// Checkpoints lists them, the newest first. Unless quick all of their bytes are read, to tell which are valid.
	Checkpoints(ctx context.Context, ref string, quick bool) ([]nexus.Saved, error)
}

// Streams are what grows while a job runs.
type Streams interface {
	// Logs writes lines to w, each ended by a newline, until the log's end, or with q.Follow until the job is over.
	Logs(ctx context.Context, ref string, q LogQuery, w io.Writer) error
	// Events sends every event with Seq > after, then the new ones, until ctx ends; then it closes the channel. After
	// [FromNow] there are only new ones.
	// A reader that falls too far behind is closed early and resumes with the last Seq it saw.
	Events(ctx context.Context, after uint64) (<-chan nexus.Event, error)
}

// FromNow, as the event to go on after, leaves out all that happened before.
const FromNow = ^uint64(0)

// Forecaster says what would become of a submission. Nothing is stored.
type Forecaster interface {
	Forecast(ctx context.Context, s Submission) (nexus.Forecast, error)
}

// Explainer says why jobs wait. The engine is one.
type Explainer interface {
	Why(ctx context.Context, id string) (nexus.Why, error)
}

// Submission is a job file with what submit captured beside it.
type Submission struct {
	Spec nexus.Spec
	// Dir is the absolute directory of the submitter, which Spec.Workdir is relative to.
	Dir string
	// Env is the part of the submitter's environment that a job inherits.
	Env map[string]string
	// Secrets holds the values behind `from: env:NAME`, by NAME. They are kept in memory only.
	Secrets map[string]string
	User    string
	// Hold has the job wait until it is released.
	Hold bool
	// Key makes a repeated submit return the first one's job; empty: none.
	Key string
}

// Filter narrows a list. Zero fields do not narrow.
type Filter struct {
	Phases []nexus.Phase
	Queue  string
	User   string
	Name   string // of a job, or of its array
	Array  string // id
	// Live leaves out jobs that are over.
	Live bool
	// Limit bounds the number of jobs; 0 means 200.
	Limit int
	// Before continues a list after the job with this id.
	Before string
}

// JobView is a job as people see it.
type JobView struct {
	nexus.Job
	// Reason is why a Pending job waits; its Sentence is in words.
	Reason   *nexus.Reason `json:"reason,omitempty"`
	Sentence string        `json:"sentence,omitempty"`
	// ETA is when it is expected to start; zero: unknown. Expected says how surely.
	ETA      time.Time       `json:"eta,omitzero"`
	Expected *nexus.Estimate `json:"expected,omitempty"`
	// Status is the living attempt's, as its agent last told it.
	Status *nexus.Status `json:"status,omitempty"`
	// Progress is rank by rank, as step() last told it; empty when the script never called it.
	Progress []nexus.Progress `json:"progress,omitempty"`
	// Workdir is absolute.
	Workdir string `json:"workdir,omitempty"`
	// LogDir is where the rank logs of the live or last attempt lie.
	LogDir string `json:"log_dir,omitempty"`
	// Notices say what of the job file has no effect here.
	Notices []string `json:"notices,omitempty"`
}

// For reports whether the job only answers for an array that the reference means.
func (v JobView) For(array string) bool {
	return v.Member != nil && (array == v.Member.Array || array == v.Member.Name || array != v.Spec.Name && !strings.HasPrefix(v.ID, array))
}

// NodeView is a node, its devices as they are now and who is on it.
type NodeView struct {
	nexus.Node
	Devices []DeviceView `json:"devices"`
	// CPUUsed and MemoryUsed are what placements hold, not what processes use.
	CPUUsed    nexus.CPU `json:"cpu_used"`
	MemoryUsed nexus.MiB `json:"memory_used"`
	Jobs       []string  `json:"jobs,omitempty"` // ids
	// NoGPU says why there are no devices, when there are none.
	NoGPU string `json:"no_gpu,omitempty"`
}

// DeviceView is a GPU with its telemetry. Negative numbers are unknown.
type DeviceView struct {
	nexus.GPU
	UtilPercent  int       `json:"util_percent"`
	Used         nexus.MiB `json:"used"`
	TemperatureC int       `json:"temperature_c"`
	PowerMW      int64     `json:"power_mw"`
	PowerLimitMW int64     `json:"power_limit_mw"`
	Allocated    nexus.MiB `json:"allocated"` // what placements hold
	Jobs         []string  `json:"jobs,omitempty"`
	Sampled      time.Time `json:"sampled"`
}

// LogQuery says which part of a job's output.
type LogQuery struct {
	Attempt int // 0: the live or last one
	Round   int // -1: all of them, in order
	Rank    int // -1: all of them, merged as they come, each line prefixed with its rank
	Tail    int // last lines per rank; 0: all
	Follow  bool
	Setup   bool // the setup log instead
}
