package nexus

import (
	"fmt"
	"strconv"
)

// Growth is what a job asks for beyond its job file, because it ran out of it: the file stays as it was.
type Growth struct {
	Memory    MiB `json:"memory,omitempty"`     // of a node; 0: as the file says
	GPUMemory MiB `json:"gpu_memory,omitempty"` // of a GPU; 0: as the file says
	// OutOf, From and To tell the last step: of what the job ran out, how much that was, and what it asks for now.
	OutOf OutOf `json:"out_of"`
	From  MiB   `json:"from"`
	To    MiB   `json:"to"`
}

// OutOf says which memory was used up.
type OutOf string

// The memory of the machine, or of its cgroup; the memory of a GPU, or of a share of one.
const (
	OutOfMemory    OutOf = "memory"
	OutOfGPUMemory OutOf = "gpu_memory"
)

// String says it in words.
func (o OutOf) String() string {
	if o == OutOfGPUMemory {
		return "GPU memory"
	}
	return string(o)
}

// Sentence says the last step: "retried with 96GiB after running out of 64GiB of memory".
func (g Growth) Sentence() string {
	return fmt.Sprintf("retried with %s after running out of %s of %s", g.To, g.From, g.OutOf)
}

// Asks is the job with what it asks for now in its spec: what the planner and the agent are told.
func (j Job) Asks() Job {
	if g := j.Growth; g != nil {
		r := &j.Spec.Resources
		r.Memory, r.GPUMemory = max(r.Memory, g.Memory), max(r.GPUMemory, g.GPUMemory)
	}
	return j
}

// Usage says what the last attempt asked for and used at most, as far as that was measured; empty where it was not.
func (j Job) Usage() []string {
	r := j.Result
	if r == nil {
		return nil
	}
	var list []string
	for _, m := range []struct {
		what        string
		asked, used MiB
	}{{"memory", r.AskedMemory, r.PeakMemory}, {"GPU memory", r.AskedGPUMemory, r.PeakGPUMemory}} {
		switch {
		case m.used <= 0:
		case m.asked > 0:
			list = append(list, fmt.Sprintf("%s: asked %s, used at most %s in the last attempt", m.what, m.asked, m.used))
		default:
			list = append(list, fmt.Sprintf("%s: used at most %s in the last attempt, asked for none", m.what, m.used))
		}
	}
	return list
}

// Factor is a growth in thousandths: 1500 is written 1.5. 0 is none.
type Factor int

// The bounds of a [Factor]: more than 1, at most 4.
const (
	noGrowth   Factor = 1000
	mostGrowth Factor = 4000
)

// Times is so much more, rounded up to MiB.
func (f Factor) Times(m MiB) MiB { return (m*MiB(f) + 999) / 1000 }

// String writes "1.5".
func (f Factor) String() string { return strconv.FormatFloat(float64(f)/1000, 'f', -1, 64) }

// MarshalText writes [Factor.String].
func (f Factor) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// MarshalJSON writes a bare number.
func (f Factor) MarshalJSON() ([]byte, error) { return f.MarshalText() }

// UnmarshalText reads a number above 1 and up to 4; what is finer than a thousandth is cut off.
func (f *Factor) UnmarshalText(text []byte) error {
	x, err := strconv.ParseFloat(string(text), 64)
	thousandths := Factor(0)
	if err == nil && x > 0 && x < 1000 {
		thousandths = Factor(x*1000 + 0.0005)
	}
	if thousandths <= noGrowth || thousandths > mostGrowth {
		return fmt.Errorf("%q is not a number above 1 and up to 4", text)
	}
	*f = thousandths
	return nil
}

// UnmarshalJSON takes a string or a number.
func (f *Factor) UnmarshalJSON(data []byte) error { return unmarshalScalar(data, f.UnmarshalText) }
