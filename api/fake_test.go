package api_test

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"ainexus.io/api"
	"ainexus.io/nexus"
)

// place is a small place that keeps its jobs in memory and runs none. It keeps the promises of the interfaces that a
// client can see: refs, keys, phases, and events that begin where they were left.
type place struct {
	mu      sync.Mutex
	jobs    []api.JobView
	keys    map[string]string
	subs    []api.Submission
	events  []nexus.Event
	changed chan struct{}
	logs    func(ctx context.Context, q api.LogQuery, w io.Writer) error
	queues  []nexus.Queue
}

func newPlace() *place {
	return &place{keys: map[string]string{}, changed: make(chan struct{})}
}

func (p *place) Submit(_ context.Context, s api.Submission) (nexus.Job, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.Spec.Resources.GPUs.N > 8 {
		return nexus.Job{}, &nexus.Error{Code: nexus.CodeUnfit, Field: "resources.gpus",
			Message: "the job asks for more GPUs than any node has: 8", Hint: "--set resources.gpus=8"}
	}
	if id := p.keys[s.Key]; s.Key != "" && id != "" {
		return p.find(id).Job, nil
	}
	job := nexus.Job{ID: fmt.Sprintf("%08x", len(p.jobs)+0xabc0000), Spec: s.Spec, User: s.User, Phase: nexus.Pending, Submitted: time.Now()}
	if s.Hold {
		job.HeldBy = s.User
	}
	p.subs = append(p.subs, s)
	p.keys[s.Key] = job.ID
	p.jobs = append(p.jobs, api.JobView{Job: job, Sentence: "it waits for 1 more GPU", Workdir: s.Dir})
	p.tell(job.ID, "submitted")
	return job, nil
}

func (p *place) Forecast(_ context.Context, s api.Submission) (nexus.Forecast, error) {
	return nexus.Forecast{Evict: []nexus.Victim{{Job: "v1", Name: "victim"}}, Why: &nexus.Why{Job: s.Spec.Name, Phase: nexus.Pending}}, nil
}

// tell adds an event. The caller holds the lock.
func (p *place) tell(id, message string) {
	p.events = append(p.events, nexus.Event{Seq: uint64(len(p.events) + 1), At: time.Now(), Job: id, Kind: nexus.EventPhase, Message: message})
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *place) find(ref string) *api.JobView {
	for i := range p.jobs {
		if j := &p.jobs[i]; j.Spec.Name == ref || len(ref) >= 4 && strings.HasPrefix(j.ID, ref) {
			return j
		}
	}
	return nil
}

func (p *place) change(ref string, how func(*api.JobView)) (api.Changed, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	j := p.find(ref)
	if j == nil {
		return api.Changed{}, &nexus.Error{Code: nexus.CodeNotFound, Message: "there is no job " + ref, Hint: "nexus ps -a lists all"}
	}
	how(j)
	p.tell(j.ID, string(j.Phase))
	return api.Changed{Job: j.Job}, nil
}

func (p *place) Job(_ context.Context, ref string) (view api.JobView, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if j := p.find(ref); j != nil {
		return *j, nil
	}
	return view, &nexus.Error{Code: nexus.CodeNotFound, Message: "there is no job " + ref, Hint: "nexus ps -a lists all"}
}

func (p *place) Checkpoints(_ context.Context, ref string, quick bool) ([]nexus.Saved, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.find(ref) == nil {
		return nil, &nexus.Error{Code: nexus.CodeNotFound, Message: "there is no job " + ref}
	}
	return []nexus.Saved{{Path: "/ckpt/step-9", Step: 9, Size: 100, Valid: true, Compared: !quick}}, nil
}

func (p *place) List(_ context.Context, f api.Filter) ([]api.JobView, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []api.JobView
	passed := f.Before == ""
	for _, j := range slices.Backward(p.jobs) {
		if !passed {
			passed = j.ID == f.Before
			continue
		}
		if len(f.Phases) > 0 && !slices.Contains(f.Phases, j.Phase) || f.Live && j.Phase.Over() || f.Name != "" && j.Spec.Name != f.Name {
			continue
		}
		if len(out) < f.Limit {
			out = append(out, j)
		}
	}
	return out, nil
}

func (p *place) Cancel(_ context.Context, ref string) (api.Changed, error) {
	return p.change(ref, func(j *api.JobView) { j.Phase = nexus.Cancelled })
}

func (p *place) Requeue(_ context.Context, ref string) (api.Changed, error) {
	return p.change(ref, func(j *api.JobView) { j.Phase = nexus.Pending })
}

func (p *place) Hold(_ context.Context, ref, by string) (api.Changed, error) {
	return p.change(ref, func(j *api.JobView) { j.HeldBy = by })
}

func (p *place) Release(_ context.Context, ref string) (api.Changed, error) {
	return p.change(ref, func(j *api.JobView) { j.HeldBy = "" })
}

func (p *place) SetPriority(_ context.Context, ref string, priority nexus.Priority) (api.Changed, error) {
	return p.change(ref, func(j *api.JobView) { j.Spec.Priority = priority })
}

func (p *place) Nodes(context.Context) ([]api.NodeView, error) {
	return []api.NodeView{{Node: nexus.Node{Name: "here", State: nexus.Ready, CPU: 2000, Memory: 4096}, Devices: []api.DeviceView{
		{GPU: nexus.GPU{UUID: "GPU-1", Memory: 40960, Free: -1}, UtilPercent: -1, TemperatureC: 40, PowerMW: 70000},
	}}}, nil
}

func (p *place) Queues(context.Context) ([]nexus.QueueState, error) {
	states := []nexus.QueueState{{Queue: nexus.Queue{Name: nexus.DefaultQueue}, Pending: len(p.jobs), Rows: []nexus.QueueRow{{}}}}
	for _, q := range p.queues {
		states = append(states, nexus.QueueState{Queue: q, Rows: []nexus.QueueRow{{}}})
	}
	return states, nil
}

func (p *place) ApplyQueues(_ context.Context, queues []nexus.Queue) (changes api.QueueChanges, err error) {
	p.queues = queues
	for _, q := range queues {
		changes.Queues = append(changes.Queues, api.QueueChange{Name: q.Name, Change: "created"})
	}
	return changes, nil
}

func (p *place) DeleteQueue(_ context.Context, name string) error {
	return &nexus.Error{Code: nexus.CodeConflict, Message: "queue " + name + " still has 1 jobs"}
}

func (p *place) History(_ context.Context, by string, since time.Time) ([]nexus.QueueHistory, error) {
	return []nexus.QueueHistory{{Queue: by, GPUSeconds: int64(time.Since(since).Round(time.Hour) / time.Second), Price: 2500}}, nil
}

func (p *place) Why(_ context.Context, id string) (nexus.Why, error) {
	return nexus.Why{Job: id, Phase: nexus.Pending, Sentence: "it waits for 1 more GPU", Position: 1,
		Reason: nexus.Reason{Code: nexus.WaitCapacity, Resource: "gpus", Need: 1}}, nil
}

func (p *place) Logs(ctx context.Context, _ string, q api.LogQuery, w io.Writer) error {
	return p.logs(ctx, q, w)
}

func (p *place) Events(ctx context.Context, after uint64) (<-chan nexus.Event, error) {
	out := make(chan nexus.Event)
	p.mu.Lock()
	if after == api.FromNow {
		after = uint64(len(p.events))
	}
	p.mu.Unlock()
	go func() {
		defer close(out)
		for {
			p.mu.Lock()
			var todo []nexus.Event
			if after < uint64(len(p.events)) {
				todo = slices.Clone(p.events[after:])
			}
			changed := p.changed
			p.mu.Unlock()
			for _, e := range todo {
				select {
				case out <- e:
					after = e.Seq
				case <-ctx.Done():
					return
				}
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out, nil
}
