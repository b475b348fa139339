package nexus

// Node is a machine that runs workers.
type Node struct {
	Name   string            `json:"name"`
	State  NodeState         `json:"state"`
	CPU    CPU               `json:"cpu"`    // capacity
	Memory MiB               `json:"memory"` // capacity
	GPUs   []GPU             `json:"gpus,omitempty"`
	Labels map[string]string `json:"labels,omitempty"`
	Rack   string            `json:"rack,omitempty"`
	Block  string            `json:"block,omitempty"`
	// Taken is what others than jobs of ours hold of it: pods of somebody else's, on Kubernetes.
	Taken Taken `json:"taken,omitzero"`
}

// Taken is a part of a node that the planner neither gives away nor takes back. Devices are marked one by one:
// [GPU].Taken.
type Taken struct {
	CPU    CPU `json:"cpu,omitempty"`
	Memory MiB `json:"memory,omitempty"`
}

// NodeState says whether a node takes jobs.
type NodeState string

// Ready takes jobs; Cordoned keeps what it has; Draining gives it up; Lost does not answer.
const (
	Ready    NodeState = "Ready"
	Cordoned NodeState = "Cordoned"
	Draining NodeState = "Draining"
	Lost     NodeState = "Lost"
)

// GPU is one device of a node.
type GPU struct {
	Index   int    `json:"index"`
	UUID    string `json:"uuid,omitempty"`
	Model   string `json:"model,omitempty"`
	Memory  MiB    `json:"memory"`            // total
	Reserve MiB    `json:"reserve,omitempty"` // the driver's part, never handed out
	// Free is what the driver last reported as free, or -1 where nobody measures it. Memory that our own
	// shares asked for and do not use is part of it.
	Free MiB `json:"free"`
	// Foreign is what processes that are none of ours use of it, as the place last measured: no share is
	// given of that. Where it cannot be told whose memory is in use, it is what exceeds all our shares.
	// Places round it up, to 256 MiB say, so that noise wakes nobody.
	Foreign MiB    `json:"foreign,omitempty"`
	MIG     string `json:"mig,omitempty"`    // the profile of a MIG slice, "1g.10gb"; empty: a whole device
	Util    int    `json:"util"`             // utilisation in steps of 10 %: 0..10
	Island  string `json:"island,omitempty"` // NVLink island
	// Taken says that others than jobs of ours hold the device as a whole.
	Taken bool `json:"taken,omitempty"`
	// Problem says why the device takes no jobs; empty when it is well.
	Problem string `json:"problem,omitempty"`
}

// Usable is the memory of the device that jobs may have between them.
func (g GPU) Usable() MiB { return max(0, g.Memory-g.Reserve) }
