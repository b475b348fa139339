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

// choices are the policies that have a name.
func choices() []choice {
	return []choice{
		{Ours, "what a daemon uses: priority, short and small work first, everyone ages; reservations; nodes by what they stay worth", false, Policy{}},
		{"fifo", "strict arrival: nobody passes the first that waits", false, Policy{Rank: ByArrival, Strict: true, Claims: -1, Place: ByBestFit}},
		{"firstfit", "arrival, and whoever fits passes", false, Policy{Rank: ByArrival, Claims: -1, Place: ByBestFit}},
		{"easy", "arrival, a reservation for the first that waits, backfill by true run times", true, Policy{Rank: ByArrival, Claims: 1, Exact: true, Place: ByBestFit}},
		{"las2d", "least attained service in two levels, chosen anew at each event", false, Policy{Rank: ByAttained, Rerank: true, Claims: -1, Place: ByBestFit}},
		{"sjf-oracle", "the shortest run first", true, Policy{Rank: ByLength, Claims: -1, Place: ByBestFit}},
		{"srtf-oracle", "the shortest rest first, chosen anew at each event", true, Policy{Rank: ByRemaining, Rerank: true, Claims: -1, Place: ByBestFit}},
		{ByRandom, "nodes by lot", false, Policy{Rank: ByArrival, Place: ByRandom}},
		{ByBestFit, "the fullest node that fits", false, Policy{Rank: ByArrival, Place: ByBestFit}},
		{ByDotProd, "the node whose rest is least like the request", false, Policy{Rank: ByArrival, Place: ByDotProd}},
		{ByPacking, "nodes and GPUs in use before idle ones", false, Policy{Rank: ByArrival, Place: ByPacking}},
		{ByClustering, "jobs of one kind together", false, Policy{Rank: ByArrival, Place: ByClustering}},
		{ByFGD, "fragmentation gradient descent, as published (ATC'23)", false, Policy{Rank: ByArrival, Place: ByFGD}},
	}
}

type choice struct {
	name, about string
	oracle      bool
	policy      Policy
}

// Known lists the policies that [Named] knows, ours first.
func Known() (list []Description) {
	for _, c := range choices() {
		list = append(list, Description{c.name, c.about, c.oracle})
	}
	return list
}

// Named is the policy of a name; empty is ours. Errors are [nexus.Error], with what was meant perhaps.
func Named(name string) (Policy, error) {
	var names []string
	for _, c := range choices() {
		if c.name == name || name == "" {
			return c.policy, nil
		}
		names = append(names, c.name)
	}
	hint := "there are " + strings.Join(names, ", ")
	if near := jobfile.Nearest(name, names); near != "" {
		hint = "did you mean " + near + "?"
	}
	return Policy{}, &nexus.Error{Code: nexus.CodeInvalid, Message: fmt.Sprintf("there is no policy %q", name), Hint: hint}
}
