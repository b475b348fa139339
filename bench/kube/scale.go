package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"ainexus.io/bench/program"
	"ainexus.io/bench/row"
)

// makers is how many clients make jobs at a time, on either side.
const makers = 16

// grace is how long the pods of the reclaimed jobs take to end: the cluster's kwok ends them at once.
const grace = 0.0

// side is one side of the comparison.
type side struct {
	path string
	job  func(name, ends string) string
	ours bool

	speed                           float64 // jobs/s
	everybody, own                  float64 // writes per job, to its end
	client, etcd, server, scheduler float64 // CPU-seconds of the making and binding
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

// scale measures both sides and what only ours has.
func scale(s size) program.Figure {
	of := fmt.Sprintf("%d nodes x 8 GPUs", s.nodes)
	speed := row.Line{What: fmt.Sprintf("jobs made and bound, %d of one GPU, %s, against plain Jobs", s.jobs, of), Unit: "jobs/s", Must: row.AtLeastTimes(">= 0.5x", 0.5)}
	own := row.Line{What: "API writes by the controller per job, submit to Succeeded, without Events and Leases", Unit: "writes", Must: row.AtMost("<= 6", 6)}
	everybody := row.Line{What: "API writes by everybody per job, against plain Jobs", Unit: "writes"}
	reason := row.Line{What: fmt.Sprintf("submit -> reason of a job that cannot start with %d queued, p99", s.queued), Unit: "s", Must: row.AtMost("<= 25 s", 25)}
	burst := row.Line{What: fmt.Sprintf("the same for each of the %d that are submitted at once, p99", s.queued), Unit: "s"}
	reclaim := row.Line{What: "reclaim of one GPU: submit -> pod bound, beyond the grace; median of 5", Unit: "s", Must: row.AtMost("<= grace + 10 s", grace+10)}
	memory := row.Line{What: fmt.Sprintf("controller RSS at %d jobs", s.counted()), Unit: "MiB", Must: row.AtMost("<= 384 MiB", 384)}
	memoryAll := row.Line{What: fmt.Sprintf("controller RSS at %d jobs, once all have a reason", s.jobs+s.queued), Unit: "MiB"}
	cpu := func(who string) row.Line {
		return row.Line{What: "CPU-seconds of " + who + " for that, against plain Jobs", Unit: "s"}
	}
	client, etcd, server, scheduler := cpu("the client"), cpu("etcd"), cpu("kube-apiserver"), cpu("kube-scheduler")
	lines := []row.Line{speed, client, etcd, server, scheduler, own, everybody, reclaim, memory, memoryAll, burst, reason}
	return program.Figure{Name: "scale", Lines: lines, Measure: func(ctx context.Context, b *program.Bench, report func(row.Row)) error {
		theirs, mine := stock(), ours()
		if err := theirs.alone(ctx, b, s); err != nil {
			return fmt.Errorf("plain Jobs: %w", err)
		}
		p, err := startPlane(ctx, b, s.nodes)
		if err != nil {
			return err
		}
		defer func() {
			if err := p.stop(); err != nil {
				b.Say("ending the control plane: %v", err)
			}
		}()
		c, err := startController(ctx, b, p)
		if err != nil {
			return err
		}
		defer c.stop()
		for _, q := range []string{
			`{"apiVersion":"ainexus.io/v1alpha1","kind":"NexusQueue","metadata":{"name":"org"},"spec":{}}`,
			fmt.Sprintf(`{"apiVersion":"ainexus.io/v1alpha1","kind":"NexusQueue","metadata":{"name":"guest"},"spec":{"parent":"org","quota":[{"gpus":%d}]}}`, s.nodes*8-reclaims),
			fmt.Sprintf(`{"apiVersion":"ainexus.io/v1alpha1","kind":"NexusQueue","metadata":{"name":"owner"},"spec":{"parent":"org","quota":[{"gpus":%d}]}}`, reclaims),
		} {
			if err := p.post(ctx, "/apis/ainexus.io/v1alpha1/nexusqueues", q); err != nil {
				return err
			}
		}
		if err := mine.measure(ctx, b, p, s); err != nil {
			return fmt.Errorf("NexusJobs: %w", err)
		}
		report(speed.Against(mine.speed, theirs.speed))
		report(client.Against(mine.client, theirs.client))
		report(etcd.Against(mine.etcd, theirs.etcd))
		report(server.Against(mine.server, theirs.server))
		report(scheduler.Against(mine.scheduler, theirs.scheduler))
		report(own.Alone(mine.own))
		report(everybody.Against(mine.everybody, theirs.everybody))
		b.Say("our controller's CPU-seconds so far: %.1f", cpuSeconds(c.cmd.Process.Pid))

		took, err := reclaimed(ctx, p)
		if err != nil {
			return err
		}
		b.Say("reclaims: %.2f s", took)
		report(reclaim.Alone(row.Median(took) - grace))
		return queued(ctx, b, p, c, s, func(at10k, atAll, burst99, reason99 float64) {
			report(memory.Alone(at10k))
			report(memoryAll.Alone(atAll))
			report(burst.Alone(burst99))
			report(reason.Alone(reason99))
		})
	}}
}

// counted is at how many jobs the controller's memory is read: 10,000 where there are so many.
func (s size) counted() int { return min(s.jobs+s.queued, max(s.jobs, 10000)) }

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
	return x.measure(ctx, b, p, s)
}

// measure runs some jobs to their end, counting writes, and then fills the cluster, counting time.
func (x *side) measure(ctx context.Context, b *program.Bench, p *plane, s size) error {
	few := min(s.jobs/4, 400)
	if err := quiet(ctx, p); err != nil { // the cluster sets itself up
		return err
	}
	everybody, own := p.log.all()
	if err := x.make(ctx, p, "ends", few, "ends"); err != nil {
		return err
	}
	if err := p.log.wait(ctx, "the pods of the first jobs", func() bool { return len(p.log.bound) >= few }); err != nil {
		return err
	}
	if err := quiet(ctx, p); err != nil {
		return err
	}
	everybodyNow, ownNow := p.log.all()
	x.everybody, x.own = float64(everybodyNow-everybody)/float64(few), float64(ownNow-own)/float64(few)
	if x.ours {
		p.log.mu.Lock()
		b.Say("what our controller wrote for %d jobs: %v", few, p.log.own)
		p.log.mu.Unlock()
	}
	client, etcd, server, scheduler := cpuSeconds(os.Getpid()), p.seconds("etcd"), p.seconds("kube-apiserver"), p.seconds("kube-scheduler")
	began := time.Now()
	if err := x.make(ctx, p, "runs", s.jobs, "runs"); err != nil {
		return err
	}
	b.Say("made %d in %v", s.jobs, time.Since(began).Round(time.Millisecond))
	if err := p.log.wait(ctx, "the pods", func() bool { return len(p.log.bound) >= few+s.jobs }); err != nil {
		return err
	}
	p.log.mu.Lock()
	first, last := p.log.created["runs-0"], p.log.bound[few+s.jobs-1]
	for name, at := range p.log.created {
		if at.Before(first) && len(name) > 4 && name[:4] == "runs" {
			first = at
		}
	}
	p.log.mu.Unlock()
	x.speed = float64(s.jobs) / last.Sub(first).Seconds()
	x.client, x.etcd = cpuSeconds(os.Getpid())-client, p.seconds("etcd")-etcd
	x.server, x.scheduler = p.seconds("kube-apiserver")-server, p.seconds("kube-scheduler")-scheduler
	b.Say("bound %d in %.1f s: %.0f jobs/s", s.jobs, last.Sub(first).Seconds(), x.speed)
	return nil
}

// make makes jobs, so many clients at a time.
func (x *side) make(ctx context.Context, p *plane, name string, n int, ends string) error {
	var posting errgroup.Group
	posting.SetLimit(makers)
	for i := range n {
		posting.Go(func() error { return p.post(ctx, x.path, x.job(fmt.Sprintf("%s-%d", name, i), ends)) })
	}
	return posting.Wait()
}

// quiet waits until nobody has written anything for a while.
func quiet(ctx context.Context, p *plane) error {
	before, since := -1, time.Now()
	return p.log.wait(ctx, "quiet", func() bool {
		now := 0
		for _, n := range p.log.writes {
			now += n
		}
		if now != before {
			before, since = now, time.Now()
		}
		return time.Since(since) > 3*time.Second
	})
}

// reclaims is how many GPUs are lent and claimed back, one after the other.
const reclaims = 5

// reclaimed has the owner of what was lent ask for it, a GPU at a time, while others hold everything.
func reclaimed(ctx context.Context, p *plane) ([]float64, error) {
	var took []float64
	for i := range reclaims {
		name := fmt.Sprintf("owner-%d", i)
		if err := p.post(ctx, ours().path, nexusJob(name, "owner", "runs")); err != nil {
			return nil, err
		}
		if err := p.log.wait(ctx, "the pod of "+name, func() bool { return !p.log.podOf[name].IsZero() && !p.log.created[name].IsZero() }); err != nil {
			return nil, err
		}
		p.log.mu.Lock()
		took = append(took, p.log.podOf[name].Sub(p.log.created[name]).Seconds())
		p.log.mu.Unlock()
	}
	return took, nil
}

// queued has jobs wait on the full cluster, and then asks how long it takes until one more knows why.
func queued(ctx context.Context, b *program.Bench, p *plane, c *controller, s size, report func(at10k, atAll, burst99, reason99 float64)) error {
	x := ours()
	told := func(name string, n int) func() bool {
		return func() bool {
			for i := range n {
				if p.log.told[fmt.Sprintf("%s-%d", name, i)].IsZero() {
					return false
				}
			}
			return true
		}
	}
	first := s.counted() - s.jobs
	if err := x.make(ctx, p, "early", first, "runs"); err != nil {
		return err
	}
	if err := p.log.wait(ctx, "the reasons of the first that wait", told("early", first)); err != nil {
		return err
	}
	at10k, err := c.rss()
	if err != nil {
		return err
	}
	rest := s.queued - first
	if err := x.make(ctx, p, "queued", rest, "runs"); err != nil {
		return err
	}
	if err := p.log.wait(ctx, "the reasons of those that wait", told("queued", rest)); err != nil {
		return err
	}
	atAll, err := c.rss()
	if err != nil {
		return err
	}
	latencies := func(name string, n int) (list []float64) {
		p.log.mu.Lock()
		defer p.log.mu.Unlock()
		for i := range n {
			name := fmt.Sprintf("%s-%d", name, i)
			list = append(list, p.log.told[name].Sub(p.log.created[name]).Seconds())
		}
		return list
	}
	burst := slices.Concat(latencies("early", first), latencies("queued", rest))
	probes := b.Times(100)
	for i := range probes {
		name := fmt.Sprintf("probe-%d", i)
		if err := p.post(ctx, x.path, x.job(name, "runs")); err != nil {
			return err
		}
		if err := p.log.wait(ctx, "the reason of "+name, func() bool { return !p.log.told[name].IsZero() && !p.log.created[name].IsZero() }); err != nil {
			return err
		}
	}
	report(at10k, atAll, row.Percentile(burst, 99), row.Percentile(latencies("probe", probes), 99))
	return nil
}
