package local

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"ainexus.io/nexus"
	"ainexus.io/sched/policy"
)

// userOf is a user in a queue.
type userOf struct{ queue, user string }

// setQueues replaces the queues and has them told.
func (v *view) setQueues(queues []nexus.Queue) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.queues = slices.Clone(queues)
	if !slices.ContainsFunc(queues, func(q nexus.Queue) bool { return q.Name == nexus.DefaultQueue }) {
		v.queues = append(v.queues, nexus.Queue{Name: nexus.DefaultQueue})
	}
	slices.SortFunc(v.queues, func(a, b nexus.Queue) int { return cmp.Compare(a.Name, b.Name) })
	v.planted, v.used = true, true
	v.ring()
}

// allQueues gives every queue, by name; the default one is always among them.
func (v *view) allQueues() []nexus.Queue {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.queues)
}

// setUse replaces what a user had of a queue, unless something newer is known. It is told where queues share.
func (v *view) setUse(u nexus.QueueUse) {
	v.mu.Lock()
	defer v.mu.Unlock()
	key := userOf{u.Queue, u.User}
	if had, ok := v.uses[key]; ok && had.At.After(u.At) {
		return
	}
	v.uses[key] = u
	if len(v.queues) > 1 || len(v.queues) == 1 && v.queues[0].Order == nexus.OrderFair {
		v.used = true
		v.ring()
	}
}

// listUses gives what users had, in the order in which it is told; v.mu is held.
func (v *view) listUses() []nexus.QueueUse {
	uses := slices.Collect(maps.Values(v.uses))
	policy.SortUses(uses)
	return uses
}

// waiting counts the jobs of a user that wait in a queue or below it.
func (v *view) waiting(queue, user string) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	names := below(v.queues, queue)
	n := 0
	for _, r := range v.live {
		if r.Job.Phase == nexus.Pending && r.Job.User == user && slices.Contains(names, r.Job.Spec.Queue) {
			n++
		}
	}
	return n
}

// snapshot is all there is, as the planner would be told it.
func (v *view) snapshot(at time.Time) nexus.Snapshot {
	v.mu.Lock()
	defer v.mu.Unlock()
	s := nexus.Snapshot{Version: v.version, At: at, Nodes: []nexus.Node{v.node}, Queues: slices.Clone(v.queues), Use: v.listUses()}
	s.Nodes[0].GPUs = slices.Clone(v.node.GPUs)
	for _, r := range v.live {
		s.Jobs = append(s.Jobs, r.Job)
	}
	return s
}
