package local

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"ainexus.io/api"
	"ainexus.io/cluster/local/store"
	"ainexus.io/nexus"
	"ainexus.io/sched"
)

// maxQueues bounds how many queues there may be.
const maxQueues = 1000

// Queues tells how each queue stands.
func (p *Place) Queues(context.Context) ([]nexus.QueueState, error) {
	return sched.QueueStates(p.view.snapshot(p.Now())), nil
}

// ApplyQueues adds queues and replaces those of the same name, all or none. Running jobs go on, whatever the
// new limits are.
func (p *Place) ApplyQueues(ctx context.Context, queues []nexus.Queue) (api.QueueChanges, error) {
	p.applying.Lock() // what queues say together is judged against what there will be
	defer p.applying.Unlock()
	before := p.view.allQueues()
	changes := api.QueueChanges{}
	after := slices.Clone(before)
	var put []nexus.Queue
	for _, q := range queues {
		i := slices.IndexFunc(after, func(o nexus.Queue) bool { return o.Name == q.Name })
		done := api.QueueChange{Name: q.Name, Change: "changed"}
		switch {
		case i < 0:
			after, done.Change = append(after, q), "created"
		case reflect.DeepEqual(after[i], q):
			done.Change = "unchanged"
		default:
			after[i] = q
		}
		if done.Change != "unchanged" {
			put = append(put, q)
		}
		changes.Queues = append(changes.Queues, done)
	}
	if len(after) > maxQueues {
		return api.QueueChanges{}, &nexus.Error{Code: nexus.CodeExhausted, Message: fmt.Sprintf("there would be %d queues, and at most %d are kept", len(after), maxQueues)}
	}
	notices, errs := sched.CheckQueues(after)
	if len(errs) > 0 {
		return api.QueueChanges{}, errs
	}
	changes.Notices = append(changes.Notices, notices...)
	for _, q := range put {
		if q.ScaleUp {
			changes.Notices = append(changes.Notices, "scale_up of queue "+q.Name+" has no effect on this machine")
		}
	}
	if len(put) == 0 {
		return changes, nil
	}
	err := p.store.Do(ctx, func(tx *store.Tx) error {
		for _, q := range put {
			if err := tx.PutQueue(q); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return api.QueueChanges{}, err
	}
	p.view.setQueues(after)
	return changes, nil
}

// DeleteQueue forgets a queue that has no jobs and no queues below it. The default queue stays, without limits.
func (p *Place) DeleteQueue(ctx context.Context, name string) error {
	p.applying.Lock()
	defer p.applying.Unlock()
	queues := p.view.allQueues()
	i := slices.IndexFunc(queues, func(q nexus.Queue) bool { return q.Name == name })
	if i < 0 {
		return noQueue(name)
	}
	for _, q := range queues {
		if q.Parent == name {
			return &nexus.Error{Code: nexus.CodeConflict, Message: fmt.Sprintf("queue %s is the parent of %s", name, q.Name), Hint: "delete that one first"}
		}
	}
	err := p.store.Do(ctx, func(tx *store.Tx) error {
		n, err := tx.LiveIn(name)
		switch {
		case err != nil:
			return err
		case n > 0 && name != nexus.DefaultQueue:
			return &nexus.Error{Code: nexus.CodeConflict, Message: fmt.Sprintf("queue %s still has %d jobs that wait or run", name, n),
				Hint: "wait for them or cancel them: nexus ps -q " + name}
		}
		return tx.DropQueue(name)
	})
	if err != nil {
		return err
	}
	p.view.setQueues(slices.Delete(queues, i, i+1))
	return nil
}

// enqueue fills in what a job's queue says for jobs that do not, and refuses one that the queue will not have.
func (p *Place) enqueue(job nexus.Job) (nexus.Job, error) {
	queues := p.view.allQueues()
	byName := map[string]nexus.Queue{}
	for _, q := range queues {
		byName[q.Name] = q
	}
	at := byName[job.Spec.Queue]
	for range queues { // its own queue's word comes before its parent's
		if job.Spec.MaxDuration == 0 {
			job.Spec.MaxDuration = at.MaxDurationDefault
		}
		at = byName[at.Parent]
	}
	if refusal := sched.CheckQueue(queues, []nexus.Node{p.view.machine()}, job, p.view.waiting); refusal != nil {
		return job, refusal
	}
	return job, nil
}

// mayWait counts again, where nobody else can submit at the same time.
func (p *Place) mayWait(tx *store.Tx, job nexus.Job) error {
	queues := p.view.allQueues()
	for name := job.Spec.Queue; name != ""; {
		i := slices.IndexFunc(queues, func(q nexus.Queue) bool { return q.Name == name })
		if i < 0 {
			return nil
		}
		if most := queues[i].PerUser.Queued; most > 0 {
			n, err := tx.WaitingOf(below(queues, name), job.User)
			if err != nil {
				return err
			}
			if n >= most {
				return &nexus.Error{Code: nexus.CodeConflict, Field: "queue",
					Message: fmt.Sprintf("user %s already has %d of at most %d jobs waiting in queue %s", job.User, n, most, name),
					Hint:    "wait until one has started, or cancel one"}
			}
		}
		name = queues[i].Parent
	}
	return nil
}

// below lists a queue and those below it.
func below(queues []nexus.Queue, name string) []string {
	list := []string{name}
	for i := 0; i < len(list) && len(list) <= len(queues); i++ {
		for _, q := range queues {
			if q.Parent == list[i] {
				list = append(list, q.Name)
			}
		}
	}
	return list
}

func noQueue(name string) error {
	return &nexus.Error{Code: nexus.CodeNotFound, Message: fmt.Sprintf("there is no queue %q", name), Hint: "nexus queues lists them"}
}

// readQueues brings what is recorded of queues into the view.
func (p *Place) readQueues(ctx context.Context) error {
	queues, err := p.store.Queues(ctx)
	uses, err2 := p.store.Uses(ctx)
	if err := errors.Join(err, err2); err != nil {
		return err
	}
	p.view.setQueues(queues)
	for _, u := range uses {
		p.view.setUse(u)
	}
	return nil
}
