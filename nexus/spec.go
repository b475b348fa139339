package nexus

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Spec is the job file: what a user asks for. The same document is the REST body and the spec of the
// Kubernetes resource. Zero values mean "not said" until the jobfile room has filled in the defaults.
type Spec struct {
	Name        string              `json:"name,omitempty"`
	Type        Type                `json:"type"`
	Priority    Priority            `json:"priority"`
	Queue       string              `json:"queue"`
	Nodes       Range               `json:"nodes"`
	Workers     int                 `json:"workers,omitempty"` // per node; 0 only with gpus: auto
	Resources   Resources           `json:"resources"`
	Topology    Topology            `json:"topology,omitzero"`
	PreferGPUs  []int               `json:"prefer_gpus,omitempty"`  // indices on this machine
	MaxDuration Duration            `json:"max_duration,omitempty"` // of one attempt; 0 = no limit
	After       []After             `json:"after,omitempty"`
	Array       Array               `json:"array,omitzero"`
	Labels      map[string]string   `json:"labels,omitempty"`
	Env         map[string]EnvValue `json:"env,omitempty"`
	Volumes     []Volume            `json:"volumes,omitempty"` // Kubernetes
	Image       string              `json:"image,omitempty"`   // Kubernetes
	Code        string              `json:"code,omitempty"`    // Kubernetes: "upload" or empty
	Workdir     string              `json:"workdir"`
	Setup       Command             `json:"setup,omitzero"`
	Run         Command             `json:"run"`
	Checkpoint  *CheckpointSpec     `json:"checkpoint,omitempty"`
	Restart     Restart             `json:"restart"`
	NoProgress  Duration            `json:"no_progress"` // armed by the first step(); 0 = no watch
}

// Resources are what one node must give.
type Resources struct {
	GPUs      GPUCount `json:"gpus"`
	GPUMemory MiB      `json:"gpu_memory,omitempty"` // with GPUs: each has at least so much; without: a share of one GPU
	GPUModel  []string `json:"gpu_model,omitempty"`  // any of these
	MIG       string   `json:"mig,omitempty"`        // GPUs are MIG slices of this profile: "1g.10gb"
	CPU       CPU      `json:"cpu"`                  // 0: one per worker, as far as the node has so many
	Memory    MiB      `json:"memory,omitempty"`
	Shm       MiB      `json:"shm,omitempty"` // Kubernetes
	Enforce   Enforce  `json:"enforce,omitempty"`
}

// Share reports whether the job asks for a part of one GPU.
func (r Resources) Share() bool { return r.GPUs == GPUCount{} && r.GPUMemory > 0 }

// GPUCount is a number of whole GPUs per node, or "auto": what is free, or none.
type GPUCount struct {
	N    int
	Auto bool
}

// MarshalText writes the number or "auto".
func (g GPUCount) MarshalText() ([]byte, error) {
	if g.Auto {
		return []byte("auto"), nil
	}
	return strconv.AppendInt(nil, int64(g.N), 10), nil
}

// UnmarshalText reads a number from 0 or "auto".
func (g *GPUCount) UnmarshalText(text []byte) error {
	if string(text) == "auto" {
		*g = GPUCount{Auto: true}
		return nil
	}
	n, err := strconv.ParseUint(string(text), 10, 16)
	if err != nil {
		return fmt.Errorf("%q is neither a number of GPUs nor auto", text)
	}
	*g = GPUCount{N: int(n)}
	return nil
}

// MarshalJSON writes a bare number or "auto".
func (g GPUCount) MarshalJSON() ([]byte, error) {
	if g.Auto {
		return []byte(`"auto"`), nil
	}
	return g.MarshalText()
}

// UnmarshalJSON takes a string or a number.
func (g *GPUCount) UnmarshalJSON(data []byte) error { return unmarshalScalar(data, g.UnmarshalText) }

// Range is a number of nodes, or Min..Max for an elastic gang.
type Range struct{ Min, Max int }

// String writes "2" or "2..4".
func (r Range) String() string {
	if r.Min == r.Max {
		return strconv.Itoa(r.Min)
	}
	return strconv.Itoa(r.Min) + ".." + strconv.Itoa(r.Max)
}

// MarshalText writes [Range.String].
func (r Range) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads "2" or "2..4".
func (r *Range) UnmarshalText(text []byte) error {
	low, high, elastic := strings.Cut(string(text), "..")
	if !elastic {
		high = low
	}
	lo, err1 := strconv.ParseUint(strings.TrimSpace(low), 10, 16)
	hi, err2 := strconv.ParseUint(strings.TrimSpace(high), 10, 16)
	if err1 != nil || err2 != nil || lo < 1 || hi < lo {
		return fmt.Errorf("%q is neither a number of nodes from 1 nor a range such as 2..4", text)
	}
	*r = Range{int(lo), int(hi)}
	return nil
}

// MarshalJSON writes a bare number or "2..4".
func (r Range) MarshalJSON() ([]byte, error) {
	if r.Min == r.Max {
		return []byte(r.String()), nil
	}
	return json.Marshal(r.String())
}

// UnmarshalJSON takes a string or a number.
func (r *Range) UnmarshalJSON(data []byte) error { return unmarshalScalar(data, r.UnmarshalText) }

// Command is a shell line (run by /bin/sh -ec) or an argv; exactly one is set, or neither.
type Command struct {
	Shell string
	Argv  []string
}

// IsZero reports whether there is nothing to run.
func (c Command) IsZero() bool { return c.Shell == "" && len(c.Argv) == 0 }

// MarshalJSON writes the string or the list.
func (c Command) MarshalJSON() ([]byte, error) {
	if c.Argv != nil {
		return json.Marshal(c.Argv)
	}
	return json.Marshal(c.Shell)
}

// UnmarshalJSON takes a string or a list of strings.
func (c *Command) UnmarshalJSON(data []byte) error {
	*c = Command{}
	if bytes.HasPrefix(data, []byte{'['}) {
		return json.Unmarshal(data, &c.Argv)
	}
	return json.Unmarshal(data, &c.Shell)
}

// EnvValue is a literal value, or a reference to a secret that is resolved at start and never stored.
type EnvValue struct {
	Value string
	From  string // "file:PATH", "env:NAME" or "secret:NAME/KEY"; empty for a literal
}

type envReference struct {
	From string `json:"from"`
}

// MarshalJSON writes the string or {"from": ...}.
func (v EnvValue) MarshalJSON() ([]byte, error) {
	if v.From != "" {
		return json.Marshal(envReference{v.From})
	}
	return json.Marshal(v.Value)
}

// UnmarshalJSON takes a string or {"from": ...}.
func (v *EnvValue) UnmarshalJSON(data []byte) error {
	*v = EnvValue{}
	if bytes.HasPrefix(data, []byte{'{'}) {
		var ref envReference
		err := json.Unmarshal(data, &ref)
		v.From = ref.From
		return err
	}
	return json.Unmarshal(data, &v.Value)
}

// Volume is mounted into a pod; this machine ignores it with a notice.
type Volume struct {
	PVC      string `json:"pvc,omitempty"`
	Name     string `json:"name,omitempty"`
	Path     string `json:"path"`
	ReadOnly bool   `json:"read_only,omitempty"`
}

// CheckpointSpec says where a job saves its work and how long it may take when it is asked to.
type CheckpointSpec struct {
	Path  string   `json:"path"`
	Grace Duration `json:"grace"`
}

// Restart is the budget of a job: Max endings by exit, hang or lack of memory are answered by another try.
type Restart struct {
	Max int     `json:"max"`
	On  []Cause `json:"on"` // of exit, hang, oom, node, preempt; the last two are not charged
	// Grow is by how much more memory is asked for after oom; 0: the same again.
	Grow Factor `json:"grow,omitempty"`
}

// Enforce says what happens to a share that takes more GPU memory than it asked for.
type Enforce string

// Warn tells it as an Event; Kill ends the worker.
const (
	EnforceWarn Enforce = "warn"
	EnforceKill Enforce = "kill"
)
