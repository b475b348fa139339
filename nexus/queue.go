package nexus

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// DefaultQueue always exists; without a document of its own it has no limits.
const DefaultQueue = "default"

// Queue is where a job waits and whose limits it counts against. The children of one parent are a cohort:
// they lend one another what of their quota is idle. Jobs are submitted to queues without children.
type Queue struct {
	Name   string `json:"name"`
	Parent string `json:"parent,omitempty"`
	// Quota is what the queue is entitled to, with all that is below it. What no row names is not limited,
	// except in a cohort where somebody has a quota of it: there it is 0.
	Quota []Quota `json:"quota,omitempty"`
	// BorrowLimit is how many GPUs beyond its quota the queue may use of its cohort's; nil: all that are
	// idle. 0 forbids borrowing of anything.
	BorrowLimit *int `json:"borrow_limit,omitempty"`
	// LendLimit is how many GPUs of its quota others may use while they are idle; nil: all. 0 lends nothing.
	LendLimit *int `json:"lend_limit,omitempty"`
	// Weight is the queue's part of what its cohort shares; 0 counts as 1.
	Weight int        `json:"weight,omitempty"`
	Order  QueueOrder `json:"order,omitempty"`
	// TimeSlicing lets a job with a checkpoint yield to its equals.
	TimeSlicing bool `json:"time_slicing,omitempty"`
	// MinRunTime is how long each attempt of the queue's jobs runs at least before it is stopped for another job, or to
	// be resized; nil: as the parent says, else 0.
	MinRunTime *Duration `json:"min_run_time,omitempty"`
	// MaxPreemptions is after how many preemptions a job is left alone by all but critical jobs; nil: as the parent says,
	// else 16. 0 spares the queue's jobs from the beginning.
	MaxPreemptions *int `json:"max_preemptions,omitempty"`
	// ScaleUp admits gangs that only an autoscaler can give nodes to. Kubernetes.
	ScaleUp bool    `json:"scale_up,omitempty"`
	PerUser PerUser `json:"per_user,omitzero"`
	// MaxDurationDefault is the max_duration of jobs that say none; 0: none.
	MaxDurationDefault Duration `json:"max_duration_default,omitempty"`
	PricePerGPUHour    Money    `json:"price_per_gpu_hour,omitempty"`
	// Users are those who may submit; empty: everyone.
	Users []string `json:"users,omitempty"`
}

// Quota is one row of what a queue is entitled to: of GPUs of one model, or, without a model, of all.
type Quota struct {
	GPUModel string `json:"gpu_model,omitempty"`
	// GPUs are whole ones; GPUMemory is the sum of shares of GPUs. Nil: the row does not limit it.
	GPUs      *int `json:"gpus,omitempty"`
	GPUMemory *MiB `json:"gpu_memory,omitempty"`
	// CPU counts, in a row with a model, the cpus beside such GPUs.
	CPU *CPU `json:"cpu,omitempty"`
}

// PerUser are limits of each user in a queue, with all that is below it; 0 is no limit.
type PerUser struct {
	GPUs   int `json:"gpus,omitempty"`   // whole ones held at a time
	Jobs   int `json:"jobs,omitempty"`   // that run at a time
	Queued int `json:"queued,omitempty"` // that wait at a time
}

// QueueOrder says who of a queue's jobs of one priority goes first. The zero value is OrderPriority.
type QueueOrder string

// The orders.
const (
	OrderPriority QueueOrder = "priority" // inference, then arrival
	OrderFIFO     QueueOrder = "fifo"     // arrival, whatever the type
	OrderFair     QueueOrder = "fair"     // the user who had least, then arrival
	OrderShortest QueueOrder = "shortest" // arrival plus max_duration
)

// QueueOrders lists them in the order of the documentation.
func QueueOrders() []QueueOrder {
	return []QueueOrder{OrderPriority, OrderFIFO, OrderFair, OrderShortest}
}

// QueueUse is what a user had of a queue, decayed: what was used longer ago counts for less. Places keep
// it by sched/policy and tell it beside the queues.
type QueueUse struct {
	Queue string `json:"queue"`
	User  string `json:"user"`
	// GPUTime and CPUTime are in thousandths of a GPU or cpu, times milliseconds, as decayed until At. A
	// share of a GPU counts by its memory.
	GPUTime int64     `json:"gpu_time"`
	CPUTime int64     `json:"cpu_time"`
	At      time.Time `json:"at"`
}

// QueueState is a queue and how it stands, with all that is below it.
type QueueState struct {
	Queue
	Pending int `json:"pending"` // jobs that wait
	Running int `json:"running"` // jobs that hold something
	// Rows are of all GPUs, first, and of each model that a quota names.
	Rows []QueueRow `json:"rows"`
}

// QueueRow is what a queue holds of one model; of all, where none is named.
type QueueRow struct {
	GPUModel  string `json:"gpu_model,omitempty"`
	GPUs      int    `json:"gpus"` // whole ones
	GPUMemory MiB    `json:"gpu_memory"`
	CPU       CPU    `json:"cpu"`
	Quota     *int   `json:"quota,omitempty"` // whole GPUs that it is entitled to; nil: not limited
	Borrowed  int    `json:"borrowed"`        // whole GPUs beyond that
}

// QueueHistory is what was had of a queue, or by a user, in some time.
type QueueHistory struct {
	Queue string `json:"queue,omitempty"`
	User  string `json:"user,omitempty"`
	// GPUSeconds and CPUSeconds were allocated, whether they were used or not. A share of a GPU counts by
	// its memory.
	GPUSeconds  int64 `json:"gpu_seconds"`
	CPUSeconds  int64 `json:"cpu_seconds"`
	Jobs        int   `json:"jobs"`         // that were over, or still run
	Attempts    int   `json:"attempts"`     // that began
	WaitSeconds int64 `json:"wait_seconds"` // in line before these attempts, all together
	Price       Money `json:"price,omitempty"`
}

// Money is an amount in thousandths of whatever the operator counts in.
type Money int64

// String writes at least two decimals: "2.50", "0.125".
func (m Money) String() string {
	if m < 0 {
		return "-" + (-m).String()
	}
	text := fmt.Sprintf("%d.%03d", m/1000, m%1000)
	return strings.TrimSuffix(text, "0")
}

// MarshalText writes [Money.String].
func (m Money) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads a decimal number from 0 with at most three decimals.
func (m *Money) UnmarshalText(text []byte) error {
	whole, part, _ := strings.Cut(string(text), ".")
	n, err := strconv.ParseUint(whole, 10, 40)
	rest, err2 := strconv.ParseUint((part + "000")[:3], 10, 10)
	if err != nil || err2 != nil || len(part) > 3 {
		return fmt.Errorf("%q is not an amount such as 2.50", text)
	}
	*m = Money(n*1000 + rest)
	return nil
}

// MarshalJSON writes a bare number.
func (m Money) MarshalJSON() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalJSON takes a string or a number.
func (m *Money) UnmarshalJSON(data []byte) error { return unmarshalScalar(data, m.UnmarshalText) }

// Share is the queue's weight among its cohort's, from 1.
func (q Queue) Share() int { return max(1, q.Weight) }

// Admits reports whether a user may submit to the queue.
func (q Queue) Admits(user string) bool { return len(q.Users) == 0 || slices.Contains(q.Users, user) }
