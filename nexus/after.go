package nexus

import (
	"fmt"
	"slices"
)

// After names a job that has to be over before this one may start.
type After struct {
	Job string `json:"job"` // id or name, of a job or an array
	On  Await  `json:"on"`
}

// Await says which ending of a job is waited for.
type Await string

// AwaitSuccess wants the job to succeed: whoever waits for one that does not is cancelled. AwaitAny takes any ending.
const (
	AwaitSuccess Await = "success"
	AwaitAny     Await = "any"
)

// UnmarshalText refuses an unknown word.
func (a *Await) UnmarshalText(text []byte) error {
	if !slices.Contains([]Await{AwaitSuccess, AwaitAny}, Await(text)) {
		return fmt.Errorf("%q is none of success, any", text)
	}
	*a = Await(text)
	return nil
}

// Dependency is an [After] whose name was resolved, and how that job stands.
type Dependency struct {
	Job  string `json:"job"`  // id of a job, or of an array: then all its members have to be over
	Name string `json:"name"` // what people call it
	On   Await  `json:"on"`
	// Phase is how it ended; empty while it is awaited.
	Phase Phase `json:"phase,omitempty"`
}

// Met reports whether there is nothing to wait for any more.
func (d Dependency) Met() bool {
	return d.Phase == Succeeded || d.On == AwaitAny && d.Phase.Over()
}

// Broken reports whether the job can never be what is waited for.
func (d Dependency) Broken() bool { return d.Phase.Over() && !d.Met() }
