package v1alpha1

import (
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// NexusQueue is a queue: its spec is the queue document without its name.
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=nexusqueues,singular=nexusqueue,shortName=nq,scope=Cluster
// +kubebuilder:printcolumn:name="Parent",type=string,JSONPath=`.spec.parent`
// +kubebuilder:printcolumn:name="Weight",type=integer,JSONPath=`.spec.weight`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="!has(self.spec) || !has(self.spec.parent) || self.spec.parent != self.metadata.name",message="a queue is not its own parent",fieldPath=".spec.parent"
type NexusQueue struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec QueueSpec `json:"spec,omitempty,omitzero"`
}

// NexusQueueList is a list of queues.
// +kubebuilder:object:root=true
type NexusQueueList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []NexusQueue `json:"items"`
}

// QueueSpec is the queue document. docs/queues.md describes the fields.
type QueueSpec struct {
	// Parent is the queue above: the children of one parent lend to one another.
	Parent string `json:"parent,omitempty"`
	// Quota is what the queue is entitled to.
	// +kubebuilder:validation:MaxItems=64
	Quota []Quota `json:"quota,omitempty"`
	// BorrowLimit is how many GPUs beyond its quota it may use.
	// +kubebuilder:validation:Minimum=0
	BorrowLimit *int `json:"borrow_limit,omitempty"`
	// LendLimit is how many GPUs of its quota others may use.
	// +kubebuilder:validation:Minimum=0
	LendLimit *int `json:"lend_limit,omitempty"`
	// Weight is its part of what the cohort shares.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	Weight int `json:"weight,omitempty"`
	// Order says who goes first among equals.
	// +kubebuilder:validation:Enum=priority;fifo;fair;shortest
	Order string `json:"order,omitempty"`
	// TimeSlicing lets a job with a checkpoint yield to its equals.
	TimeSlicing bool `json:"time_slicing,omitempty"`
	// MinRunTime is how long each attempt of its jobs runs at least before it is stopped for another job: "30m".
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:XIntOrString
	MinRunTime Any `json:"min_run_time,omitzero"`
	// MaxPreemptions is after how many preemptions a job is left alone by all but critical ones.
	// +kubebuilder:validation:Minimum=0
	MaxPreemptions *int `json:"max_preemptions,omitempty"`
	// ScaleUp admits gangs that only an autoscaler can give nodes to.
	ScaleUp bool `json:"scale_up,omitempty"`
	// PerUser are limits of each user.
	PerUser PerUser `json:"per_user,omitzero"`
	// MaxDurationDefault is the max_duration of jobs that say none.
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:XIntOrString
	MaxDurationDefault Any `json:"max_duration_default,omitzero"`
	// PricePerGPUHour is an amount in whatever the operator counts in: 2.50.
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:pruning:PreserveUnknownFields
	PricePerGPUHour Any `json:"price_per_gpu_hour,omitzero"`
	// Users are those who may submit; empty: everyone.
	Users []string `json:"users,omitempty"`
}

// Quota is one row: of GPUs of one model, or of all.
// +kubebuilder:validation:MinProperties=1
type Quota struct {
	// GPUModel is the model; none: all GPUs.
	GPUModel string `json:"gpu_model,omitempty"`
	// GPUs are whole ones.
	// +kubebuilder:validation:Minimum=0
	GPUs *int `json:"gpus,omitempty"`
	// GPUMemory is the sum of shares of GPUs.
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:XIntOrString
	GPUMemory Any `json:"gpu_memory,omitzero"`
	// CPU counts logical cpus: 4, 0.5 or 500m.
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:pruning:PreserveUnknownFields
	CPU Any `json:"cpu,omitzero"`
}

// PerUser are limits of each user in a queue, with all that is below it.
type PerUser struct {
	// GPUs are whole ones held at a time.
	// +kubebuilder:validation:Minimum=1
	GPUs int `json:"gpus,omitempty"`
	// Jobs run at a time.
	// +kubebuilder:validation:Minimum=1
	Jobs int `json:"jobs,omitempty"`
	// Queued wait at a time.
	// +kubebuilder:validation:Minimum=1
	Queued int `json:"queued,omitempty"`
}

// Document is the queue as nexus/jobfile reads it, as JSON.
func (q *NexusQueue) Document() ([]byte, error) {
	data, err := json.Marshal(struct {
		Name string `json:"name"`
		*QueueSpec
	}{q.Name, &q.Spec})
	if err != nil {
		return nil, fmt.Errorf("writing the spec of queue %s: %w", q.Name, err)
	}
	return data, nil
}
