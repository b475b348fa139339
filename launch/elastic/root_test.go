package elastic

import (
	"testing"
	"time"

	"ainexus.io/nexus"
)

// Of failures on several nodes the one for which most speaks is the root cause, and of those the first; the others are counted.
func TestTheRootCauseAmongNodes(t *testing.T) {
	failed := func(node string, ms int, proof Evidence, later int) blame {
		return blame{node: node, at: time.Duration(ms) * time.Millisecond, report: Report{Proof: proof, Fault: &nexus.Fault{Node: node, Later: later}}}
	}
	for _, test := range []struct {
		name     string
		failures []blame
		node     string
		later    int
	}{
		{"one", []blame{failed("a", 1, Unsaid, 0)}, "a", 0},
		{"the first", []blame{failed("a", 5, Unsaid, 0), failed("b", 3, Unsaid, 2)}, "b", 3},
		{"who lost its peer is seen first", []blame{failed("a", 1, Followed, 1), failed("b", 30, Unsaid, 0)}, "b", 2},
		{"an error that was told", []blame{failed("a", 1, Unsaid, 0), failed("b", 30, Own, 0), failed("c", 40, Own, 0)}, "b", 2},
		{"nobody but those who lost a peer", []blame{failed("a", 9, Followed, 0), failed("b", 8, Followed, 0)}, "b", 1},
		{"at once: as the nodes came", []blame{failed("b", 1, Own, 0), failed("a", 1, Own, 0)}, "b", 1},
	} {
		first := root(test.failures)
		if fault := withLater(first, test.failures); first.node != test.node || fault.Later != test.later {
			t.Errorf("%s: node %s, %d later", test.name, first.node, fault.Later)
		}
	}
	if withLater(blame{}, nil) != nil {
		t.Error("a fault of nobody")
	}
}
