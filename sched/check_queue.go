package sched

import (
	"fmt"

	"ainexus.io/nexus"
	"ainexus.io/sched/policy"
)

// CheckQueues refuses queues that cannot stand together, and tells what may not be meant. Both name the
// queue.
func CheckQueues(queues []nexus.Queue) (notices []string, errs nexus.Errors) {
	byName := map[string]nexus.Queue{}
	for _, q := range queues {
		byName[q.Name] = q
	}
	refuse := func(text, hint string) {
		errs = append(errs, &nexus.Error{Code: nexus.CodeInvalid, Field: "parent", Message: text, Hint: hint})
	}
	for _, q := range queues {
		parent, known := byName[q.Parent]
		switch {
		case q.Parent == "":
		case !known && q.Parent != nexus.DefaultQueue:
			refuse(fmt.Sprintf("queue %s: there is no queue %s to be its parent", q.Name, q.Parent), "apply that one too, in the same file")
		case circular(byName, q.Name):
			refuse(fmt.Sprintf("queue %s is below itself: its parent %s leads back to it", q.Name, parent.Name), "")
		}
	}
	if len(errs) > 0 {
		return nil, errs
	}
	t := newTree(byName)
	for i := range t.queues {
		notices = append(notices, t.promisedTwice(i)...)
	}
	return notices, nil
}

func circular(byName map[string]nexus.Queue, name string) bool {
	at := byName[name].Parent
	for range len(byName) {
		if at == name {
			return true
		}
		at = byName[at].Parent
	}
	return false
}

// promisedTwice tells of a queue whose children are entitled to more than it has.
func (t *tree) promisedTwice(i int) (notices []string) {
	b := &t.queues[i]
	for cell, quota := range b.quota {
		sum := int64(0)
		for _, child := range b.children {
			sum += max(0, t.queues[child].quota[cell])
		}
		if quota != unlimited && sum > quota {
			r := nexus.Reason{Resource: resourceNames[cell%resources], Model: t.models[cell/resources]}
			notices = append(notices, fmt.Sprintf("queue %s has %s, and its children are entitled to %s: not all of them can have theirs at a time",
				b.Name, r.Amount(quota), r.Amount(sum)))
		}
	}
	return notices
}

// CheckQueue refuses a job that its queue would never let start, however long it waited, that its user may
// not submit there, or that is one too many of his that wait; waiting is how many do by user and queue.
func CheckQueue(queues []nexus.Queue, nodes []nexus.Node, j nexus.Job, waiting func(queue, user string) int) *nexus.Error {
	p := New(policy.Default())
	p.observe(nexus.Delta{Full: true, Queues: queues, Nodes: nodes}, j.Submitted)
	p.set(j)
	e := p.jobs[j.ID]
	if e.queue < 0 {
		return &nexus.Error{Code: nexus.CodeNotFound, Field: "queue", Message: fmt.Sprintf("there is no queue %q", j.Spec.Queue),
			Hint: "nexus queues lists them; --set queue=" + nexus.DefaultQueue}
	}
	leaf := &p.tree.queues[e.queue]
	if len(leaf.children) > 0 {
		return &nexus.Error{Code: nexus.CodeInvalid, Field: "queue", Message: fmt.Sprintf("queue %s is divided and takes no jobs itself", leaf.Name),
			Hint: "--set queue=" + p.tree.queues[leaf.children[0]].Name}
	}
	for i := e.queue; i >= 0; i = p.tree.queues[i].parent {
		q := &p.tree.queues[i]
		if !q.Admits(j.User) {
			return &nexus.Error{Code: nexus.CodeDenied, Field: "queue", Message: fmt.Sprintf("user %s may not submit to queue %s", j.User, q.Name),
				Hint: "its users are listed by nexus queues get " + q.Name}
		}
		if most := q.PerUser.Queued; most > 0 && waiting(q.Name, j.User) >= most {
			return &nexus.Error{Code: nexus.CodeConflict, Field: "queue",
				Message: fmt.Sprintf("user %s already has %d of at most %d jobs waiting in queue %s", j.User, waiting(q.Name, j.User), most, q.Name),
				Hint:    "wait until one has started, or cancel one"}
		}
	}
	c := newCycle(p, newBars())
	if r, over := c.overUser(e); over {
		return &nexus.Error{Code: nexus.CodeUnfit, Field: "resources.gpus", Message: fmt.Sprintf("the job needs %s, and a user may hold %s in queue %s",
			r.Amount(r.Need), r.Amount(r.Limit), r.Queue), Hint: fmt.Sprintf("--set resources.gpus=%d", r.Limit/int64(gang(&j.Spec).Min))}
	}
	short, fits := c.narrow(e, nil, func(what amounts) (shortage, bool) { return c.tree.fits(c.held, e.queue, what, false) })
	if fits {
		return nil
	}
	r := c.quotaReason(short)
	err := &nexus.Error{Code: nexus.CodeUnfit, Field: "resources." + r.Resource}
	most := short.have / int64(gang(&j.Spec).Min)
	switch {
	case r.Cohort != "":
		err.Message = fmt.Sprintf("the job needs %s, and queue %s could have at most %s, with all that its cohort %s can lend",
			r.Amount(r.Need), r.Queue, r.Amount(r.Have), r.Cohort)
	case r.Borrow > 0:
		err.Message = fmt.Sprintf("the job needs %s, and queue %s may have at most %s, borrowed ones included", r.Amount(r.Need), r.Queue, r.Amount(r.Limit))
	default:
		err.Message = fmt.Sprintf("the job needs %s, and queue %s has a quota of %s", r.Amount(r.Need), r.Queue, r.Amount(r.Limit))
	}
	switch err.Hint = "ask for less, or for a larger quota"; {
	case most > 0 && r.Resource == "gpus":
		err.Hint = fmt.Sprintf("--set resources.gpus=%d", most)
	case most > 0 && r.Resource == "cpu":
		err.Hint = "--set resources.cpu=" + nexus.CPU(most).String()
	case most > 0:
		err.Hint = "--set resources.gpu_memory=" + nexus.MiB(most).String()
	}
	return err
}
