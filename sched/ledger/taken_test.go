package ledger

import (
	"testing"

	"ainexus.io/nexus"
)

// What others hold of a node is neither free nor anybody's who could be asked for it, and comes back with them.
func TestWhatOthersHoldIsNotFree(t *testing.T) {
	n := nexus.Node{Name: "n", State: nexus.Ready, CPU: 8000, Memory: 64, GPUs: []nexus.GPU{{Index: 0, Memory: 40}, {Index: 1, Memory: 40, Taken: true}},
		Taken: nexus.Taken{CPU: 3000, Memory: 60}}
	l, r := New(), Room{}
	l.SetNode(n)
	l.Room("n", &r)
	if r.CPU != 5000 || r.Memory != 4 || !r.GPUs[0].Whole || r.GPUs[1].Whole || r.GPUs[1].Share != 0 {
		t.Errorf("free is %+v", r)
	}
	Empty(&n, false, &r)
	if r.CPU != 8000 || r.Memory != 64 || !r.GPUs[1].Whole {
		t.Errorf("if nobody were on it, free were %+v", r)
	}
	n.Taken, n.GPUs = nexus.Taken{}, []nexus.GPU{{Index: 0, Memory: 40}, {Index: 1, Memory: 40}}
	l.SetNode(n)
	l.Room("n", &r)
	if r.CPU != 8000 || !r.GPUs[1].Whole {
		t.Errorf("once they are gone, free is %+v", r)
	}
}
