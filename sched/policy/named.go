package policy

import (
	"fmt"
	"strings"

	"ainexus.io/nexus"
	"ainexus.io/nexus/jobfile"
)

// Ours is the name of the policy that is used where nobody names one.
const Ours = "nexus"

// Description says of a policy what there is to say before it is chosen.
type Description struct {
	Name  string
	About string // one line
	// Oracle says that it uses what nobody knows in production, such as how long a job will run.
	Oracle bool
}

// Known lists the policies that [Named] knows, ours first.
func Known() []Description {
	return []Description{
		{Name: Ours, About: "priority, then arrival; reservations and backfill; what a daemon uses"},
	}
}

// Named is the policy of a name; empty is ours. Errors are [nexus.Error], with what was meant perhaps.
func Named(name string) (Policy, error) {
	switch name {
	case "", Ours:
		return Default(), nil
	}
	var names []string
	for _, d := range Known() {
		names = append(names, d.Name)
	}
	hint := "there are " + strings.Join(names, ", ")
	if near := jobfile.Nearest(name, names); near != "" {
		hint = "did you mean " + near + "?"
	}
	return Policy{}, &nexus.Error{Code: nexus.CodeInvalid, Message: fmt.Sprintf("there is no policy %q", name), Hint: hint}
}
