package main

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"ainexus.io/bench/program"
)

// makers is how many clients make jobs at a time, on either side.
const makers = 16

// fillMost is how long a side may take to fill the cluster. One that is not done by then counts with what it has bound.
const fillMost = 8 * time.Minute

// side is one side of the comparison.
type side struct {
	path string
	job  func(name, ends string) string
	ours bool

	speed          float64            // jobs/s
	full           bool               // all were bound in time
	everybody, own float64            // writes per job, to its end
	seconds        map[string]float64 // processor time of the making and binding, by who had it
}

// stock is a Job of one pod with one GPU, as anybody would write it.
func stock() *side {
	return &side{path: "/apis/batch/v1/namespaces/bench/jobs", job: func(name, ends string) string {
		return fmt.Sprintf(`{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":%q},"spec":{"backoffLimit":0,"template":{"metadata":{"labels":{"unattended":%q}},
"spec":{"restartPolicy":"Never","containers":[{"name":"main","image":"none","command":["train"],"resources":{"requests":{"cpu":"1"},"limits":{"nvidia.com/gpu":"1"}}}]}}}}`, name, ends)
	}}
}

// ours is the same as a NexusJob.
func ours() *side {
	return &side{ours: true, path: "/apis/ainexus.io/v1alpha1/namespaces/bench/nexusjobs", job: func(name, ends string) string {
		return nexusJob(name, "guest", ends)
	}}
}

func nexusJob(name, queue, ends string) string {
	return fmt.Sprintf(`{"apiVersion":"ainexus.io/v1alpha1","kind":"NexusJob","metadata":{"name":%q},"spec":{"queue":%q,"labels":{"unattended":%q},"resources":{"gpus":1},"run":["train"]}}`, name, queue, ends)
}

// alone measures a side that needs nothing of ours.
func (x *side) alone(ctx context.Context, b *program.Bench, s size) error {
	p, err := startPlane(ctx, b, s.nodes)
	if err != nil {
		return err
	}
	defer func() {
		if err := p.stop(); err != nil {
			b.Say("ending the control plane: %v", err)
		}
	}()
	return x.measure(ctx, p, nil, s)
}

// measure runs some jobs to their end, counting writes, and then fills the cluster, counting time.
func (x *side) measure(ctx context.Context, p *plane, c *controller, s size) error {
	few := min(s.jobs/4, 400)
	if err := quiet(ctx, p); err != nil { // the cluster sets itself up
		return err
	}
	everybody, own := p.log.all()
	if err := x.make(ctx, p, "ends", few, "ends"); err != nil {
		return err
	}
	if err := p.log.wait(ctx, p.say, "the pods of the first jobs", func() bool { return len(p.log.bound) >= few }); err != nil {
		return err
	}
	if err := quiet(ctx, p); err != nil {
		return err
	}
	everybodyNow, ownNow := p.log.all()
	x.everybody, x.own = float64(everybodyNow-everybody)/float64(few), float64(ownNow-own)/float64(few)
	if x.ours {
		p.log.mu.Lock()
		p.say("what our controller wrote for %d jobs: %v", few, p.log.own)
		p.log.mu.Unlock()
	}
	return x.fill(ctx, p, c, s, few)
}

// fill makes jobs until the cluster is full, beside so many that are over.
func (x *side) fill(ctx context.Context, p *plane, c *controller, s size, over int) error {
	before, began := p.spent(c), time.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, fillMost, errSlow)
	defer cancel()
	err := x.make(ctx, p, "runs", s.jobs, "runs")
	if err == nil {
		p.say("made %d in %v", s.jobs, time.Since(began).Round(time.Millisecond))
		err = p.log.wait(ctx, p.say, "the pods", func() bool { return len(p.log.bound) >= over+s.jobs })
	}
	if err != nil && context.Cause(ctx) != errSlow {
		return err
	}
	x.full = err == nil
	p.log.mu.Lock()
	first, last := time.Now(), began.Add(fillMost)
	for i := range s.jobs {
		if at := p.log.created[fmt.Sprintf("runs-%d", i)]; !at.IsZero() && at.Before(first) {
			first = at
		}
	}
	bound := len(p.log.bound) - over
	if x.full {
		last = p.log.bound[over+s.jobs-1]
	}
	p.log.mu.Unlock()
	x.speed, x.seconds = float64(bound)/last.Sub(first).Seconds(), map[string]float64{}
	for who, now := range p.spent(c) {
		x.seconds[who] = now - before[who]
		x.seconds[everything] += now - before[who]
	}
	p.say("bound %d in %.1f s: %.1f jobs/s", bound, last.Sub(first).Seconds(), x.speed)
	return nil
}

// errSlow says that a side was given up.
var errSlow = fmt.Errorf("the cluster was not full after %v", fillMost)

// Who has processor time, beside the processes of the control plane by their names.
const (
	theClient     = "the client"
	theController = "our controller"
	everything    = "everything"
)

// spent is the processor time that everybody has had so far; nil: there is no controller.
func (p *plane) spent(c *controller) map[string]float64 {
	seconds := map[string]float64{theClient: cpuSeconds(os.Getpid())}
	for name, pid := range p.PIDs {
		seconds[name] = cpuSeconds(pid)
	}
	if c != nil {
		seconds[theController] = c.seconds()
	}
	return seconds
}

// make makes jobs, so many clients at a time.
func (x *side) make(ctx context.Context, p *plane, name string, n int, ends string) error {
	posting, posts := errgroup.WithContext(ctx)
	posting.SetLimit(makers)
	var made atomic.Int64
	last := time.Now()
	for i := range n {
		if posts.Err() != nil {
			break
		}
		posting.Go(func() error {
			defer made.Add(1)
			return p.post(posts, x.path, x.job(fmt.Sprintf("%s-%d", name, i), ends))
		})
		if time.Since(last) > sayEvery {
			last = time.Now()
			p.say("making jobs: %d of %d", made.Load(), n)
		}
	}
	if err := posting.Wait(); err != nil {
		return err
	}
	return context.Cause(ctx)
}

// How long nobody has to have written anything, and how long that is waited for.
const (
	calm     = 3 * time.Second
	calmMost = time.Minute
)

// quiet waits until nobody has written anything for a while.
func quiet(ctx context.Context, p *plane) error {
	before, since, end := -1, time.Now(), time.Now().Add(calmMost)
	return p.log.wait(ctx, p.say, "quiet", func() bool {
		now := 0
		for _, n := range p.log.writes {
			now += n
		}
		if now != before {
			before, since = now, time.Now()
		}
		return time.Since(since) > calm || time.Now().After(end)
	})
}
