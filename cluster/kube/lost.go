package kube

import (
	"slices"
	"time"

	"ainexus.io/nexus"
)

// A pod that was deleted is gone when its kubelet says so. That of a node without power never does, and a job must not
// wait for it for ever. The rule: a pod counts as gone when
//
//   - it was deleted: by the cluster, which found its node unreachable for [Options.Lost], by whoever drains, or by us; and
//   - the time in which its node would have killed it, TERM and grace, is over, and [lostMargin] more; and
//   - its node is not Ready.
//
// Nothing is deleted by force: a node that comes back ends the pod itself, and until then the pod counts as a stranger
// there. If it was only cut off and still computes, it harms nobody: the next attempt meets elsewhere and under another
// name, and checkpoints of an older epoch are refused by the EPOCH of their directory. An administrator who knows that
// the machine is off says so by the taint node.kubernetes.io/out-of-service: then the cluster takes the pod away at once.

// lostMargin is for clocks that differ.
const lostMargin = 10 * time.Second

// givenUp reports whether a pod counts as gone though nobody saw it end.
func (v *view) givenUp(p *pod, at time.Time) bool {
	n, known := v.nodes[p.node]
	return p.deleting && !p.over && known && n.State == nexus.Lost && at.After(p.killBy.Add(lostMargin))
}

// alive are the pods that may still hold something.
func (s *standing) alive() []*pod {
	return slices.DeleteFunc(slices.Clone(s.pods), func(p *pod) bool { return p.over || s.lost[p] })
}

// darkNode is the node of a pod that was given up; empty: there is none.
func (s *standing) darkNode() string {
	for _, p := range s.pods {
		if s.lost[p] {
			return p.node
		}
	}
	return ""
}

// untilKilled is how long to wait before a living pod may count as gone; 0: none is deleted.
func (s *standing) untilKilled(at time.Time) time.Duration {
	var most time.Duration
	for _, p := range s.alive() {
		if p.deleting {
			most = max(most, p.killBy.Add(lostMargin).Sub(at)+time.Second, time.Second)
		}
	}
	return most
}

// onNode are the jobs that have a living attempt on a node.
func (v *view) onNode(name string) (ids []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for id := range v.seated[name] {
		ids = append(ids, id)
	}
	for _, p := range v.hosted[name] {
		if p.job != "" {
			ids = append(ids, p.job)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}
