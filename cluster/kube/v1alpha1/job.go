package v1alpha1

import (
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// NexusJob is a job: its spec is the job file without its name.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=nexusjobs,singular=nexusjob,shortName=nj,categories=all
// +kubebuilder:printcolumn:name="Type",type=string,JSONPath=`.spec.type`
// +kubebuilder:printcolumn:name="Priority",type=string,JSONPath=`.spec.priority`
// +kubebuilder:printcolumn:name="Queue",type=string,JSONPath=`.spec.queue`
// +kubebuilder:printcolumn:name="GPUs",type=integer,JSONPath=`.status.gpus`
// +kubebuilder:printcolumn:name="Phase",type=string,JSONPath=`.status.phase`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 45 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",message="metadata.name becomes part of host names: at most 45 of a-z, 0-9 and -, beginning with a letter"
type NexusJob struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   JobSpec   `json:"spec"`
	Status JobStatus `json:"status,omitempty,omitzero"`
}

// NexusJobList is a list of jobs.
// +kubebuilder:object:root=true
type NexusJobList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []NexusJob `json:"items"`
}

// JobSpec is the job file. docs/jobfile.md describes the fields.
// +kubebuilder:validation:XValidation:rule="!has(self.workers) || !has(self.resources) || !has(self.resources.gpus) || type(self.resources.gpus) != int || self.resources.gpus == 0 || self.resources.gpus % self.workers == 0",message="resources.gpus is a multiple of workers",fieldPath=".workers"
// +kubebuilder:validation:XValidation:rule="!has(self.topology) || !has(self.topology.require) || !(self.topology.require in ['island','node']) || !has(self.nodes) || self.nodes == 1",message="several nodes are not in one island or node: nodes are distinct machines",fieldPath=".topology"
// +kubebuilder:validation:XValidation:rule="!has(self.workers) || self.workers == 1 || !has(self.resources) || !has(self.resources.gpu_memory) || has(self.resources.gpus) || has(self.resources.mig)",message="several workers cannot have a share of one GPU",fieldPath=".workers"
// +kubebuilder:validation:XValidation:rule="has(self.array) == has(oldSelf.array)",message="a job does not become an array, nor an array a job: delete it and make another",fieldPath=".array"
type JobSpec struct {
	// Type is what kind of work it is: a preference, never a permission.
	// +kubebuilder:validation:Enum=training;inference;preprocessing;evaluation
	// +kubebuilder:default=training
	Type string `json:"type,omitempty"`
	// Priority decides first.
	// +kubebuilder:validation:Enum=low;normal;high;critical
	// +kubebuilder:default=normal
	Priority string `json:"priority,omitempty"`
	// Queue is the name of a NexusQueue.
	// +kubebuilder:default=default
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-._a-z0-9]{0,61}[a-z0-9])?$`
	Queue string `json:"queue,omitempty"`
	// Nodes is how many distinct machines: 2, or 2..4 where the job is elastic.
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? self >= 1 && self <= 16384 : self.matches('^ *[1-9][0-9]{0,4} *([.][.] *[1-9][0-9]{0,4} *)?$')",message="is neither a number of nodes from 1 nor a range such as 2..4"
	Nodes Any `json:"nodes,omitzero"`
	// Workers is how many processes there are per node; by default one per GPU, else 1.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=4096
	Workers int `json:"workers,omitempty"`
	// Resources are what one node must give.
	Resources Resources `json:"resources,omitzero"`
	// Topology says how near to one another the nodes, or the GPUs of a node, have to be.
	Topology Topology `json:"topology,omitzero"`
	// PreferGPUs has no effect on Kubernetes, where the device plugin picks.
	// +kubebuilder:validation:items:Minimum=0
	// +kubebuilder:validation:items:Maximum=4095
	PreferGPUs []int `json:"prefer_gpus,omitempty"`
	// MaxDuration of one attempt: "24h".
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:XIntOrString
	MaxDuration Any `json:"max_duration,omitzero"`
	// TimeLimit is another name of max_duration.
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:XIntOrString
	TimeLimit Any `json:"time_limit,omitzero"`
	// After are the jobs that have to be over before it starts.
	// +kubebuilder:validation:MaxItems=256
	After []After `json:"after,omitempty"`
	// Array submits the job once for each index: "0-15%4".
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:XIntOrString
	Array Any `json:"array,omitzero"`
	// Labels are put on the pods.
	Labels map[string]string `json:"labels,omitempty"`
	// Env is what the workers find in their environment: NAME: value, or NAME: {from: secret:NAME/KEY}.
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:Type=object
	// +kubebuilder:pruning:PreserveUnknownFields
	Env map[string]Any `json:"env,omitempty"`
	// Volumes are mounted into the pods.
	// +kubebuilder:validation:MaxItems=64
	Volumes []Volume `json:"volumes,omitempty"`
	// Image is what the pods run.
	// +kubebuilder:validation:MaxLength=512
	Image string `json:"image,omitempty"`
	// Code is "upload": the submitter's workdir comes along.
	// +kubebuilder:validation:Enum=upload
	Code string `json:"code,omitempty"`
	// Workdir is where the workers start.
	Workdir string `json:"workdir,omitempty"`
	// Setup runs once per node and attempt, before run: a shell line or a list of arguments.
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:pruning:PreserveUnknownFields
	Setup Any `json:"setup,omitzero"`
	// Run is what every worker runs: a shell line or a list of arguments.
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:pruning:PreserveUnknownFields
	Run Any `json:"run"`
	// Checkpoint says where the job saves its work.
	Checkpoint *Checkpoint `json:"checkpoint,omitempty"`
	// Restart is the budget.
	Restart Restart `json:"restart,omitzero"`
	// NoProgress ends a job whose workers report no step for so long: "15m".
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:XIntOrString
	NoProgress Any `json:"no_progress,omitzero"`
}

// Resources are what one node must give.
type Resources struct {
	// GPUs is how many whole GPUs, or auto: what is free, or none.
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? self >= 0 && self <= 4096 : self.matches('^(auto|[0-3]?[0-9]{1,3}|40[0-8][0-9]|409[0-6])$')",message="is neither a number of GPUs from 0 to 4096 nor auto"
	GPUs Any `json:"gpus,omitzero"`
	// GPUMemory is what each GPU must have; without gpus a share of one GPU.
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? self > 0 && self <= 9000000000000000 : self.matches('^ *[0-9]*[.]?[0-9]+ *([kKMGT]i?B?|B)? *$') && self.matches('[1-9]')",message="is not an amount of memory such as 40GiB"
	GPUMemory Any `json:"gpu_memory,omitzero"`
	// GPUModel are the models that will do: any of these.
	// +kubebuilder:validation:MaxItems=64
	GPUModel []string `json:"gpu_model,omitempty"`
	// MIG is the profile of the slices that gpus counts: "1g.10gb".
	MIG string `json:"mig,omitempty"`
	// CPU counts logical cpus: 4, 0.5 or 500m.
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:pruning:PreserveUnknownFields
	CPU Any `json:"cpu,omitzero"`
	// Memory is that of the node.
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? self > 0 && self <= 9000000000000000 : self.matches('^ *[0-9]*[.]?[0-9]+ *([kKMGT]i?B?|B)? *$') && self.matches('[1-9]')",message="is not an amount of memory such as 64GiB"
	Memory Any `json:"memory,omitzero"`
	// Shm is the size of /dev/shm; by default half of memory.
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? self > 0 && self <= 9000000000000000 : self.matches('^ *[0-9]*[.]?[0-9]+ *([kKMGT]i?B?|B)? *$') && self.matches('[1-9]')",message="is not an amount of memory such as 8GiB"
	Shm Any `json:"shm,omitzero"`
	// Enforce says what happens to a share that takes more than it asked for.
	// +kubebuilder:validation:Enum=warn;kill
	Enforce string `json:"enforce,omitempty"`
}

// Topology says how near together it all has to be.
// +kubebuilder:validation:XValidation:rule="!(has(self.require) && has(self.prefer))",message="wants one of require and prefer"
type Topology struct {
	// Require makes it wait for such a place.
	// +kubebuilder:validation:Enum=island;node;rack;block
	Require string `json:"require,omitempty"`
	// Prefer takes such a place if there is one.
	// +kubebuilder:validation:Enum=island;node;rack;block
	Prefer string `json:"prefer,omitempty"`
}

// After names a job that has to be over before this one may start.
type After struct {
	// Job is its name in the same namespace.
	Job string `json:"job"`
	// On says which ending is awaited.
	// +kubebuilder:validation:Enum=success;any
	On string `json:"on,omitempty"`
}

// Volume is mounted into the pods.
// +kubebuilder:validation:XValidation:rule="has(self.pvc) != has(self.name)",message="wants one of pvc and name"
type Volume struct {
	// PVC is the name of a claim in the same namespace.
	PVC string `json:"pvc,omitempty"`
	// Name is that of a directory that lives as long as the pod.
	Name string `json:"name,omitempty"`
	// Path is where it is mounted.
	// +kubebuilder:validation:Pattern=`^/`
	Path string `json:"path"`
	// ReadOnly keeps the workers from writing there.
	ReadOnly bool `json:"read_only,omitempty"`
}

// Checkpoint says where a job saves its work and how long it may take when it is asked to.
type Checkpoint struct {
	// Path is a file or directory.
	// +kubebuilder:validation:MinLength=1
	Path string `json:"path"`
	// Grace is how long a save may take: "120s".
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:XIntOrString
	Grace Any `json:"grace,omitzero"`
}

// Restart is the budget of a job.
type Restart struct {
	// Max endings by exit, hang or lack of memory are answered by another try.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000
	Max int `json:"max,omitempty"`
	// On are the causes that are answered by another try.
	// +kubebuilder:validation:items:Enum=exit;hang;oom;node;preempt
	On []string `json:"on,omitempty,omitzero"`
	// Grow is by how much more memory is asked for after oom: 1.5.
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:pruning:PreserveUnknownFields
	Grow Any `json:"grow,omitzero"`
}

// Document is the job as nexus/jobfile reads it: the Kubernetes form of the job file, as JSON.
func (j *NexusJob) Document() ([]byte, error) {
	form := struct {
		APIVersion string            `json:"apiVersion"`
		Kind       string            `json:"kind"`
		Metadata   map[string]string `json:"metadata"`
		Spec       *JobSpec          `json:"spec"`
	}{GroupVersion().String(), "NexusJob", map[string]string{"name": j.Name}, &j.Spec}
	data, err := json.Marshal(form)
	if err != nil {
		return nil, fmt.Errorf("writing the spec of %s/%s: %w", j.Namespace, j.Name, err)
	}
	return data, nil
}
