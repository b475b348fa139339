package main

import (
	"context"
	"errors"
	"fmt"

	"ainexus.io/bench/program"
	"ainexus.io/bench/row"
)

// figures are what is measured of a cluster of that size. The last two need it full, and fill it where the first was not
// asked for.
func figures(f *fleet) []program.Figure { return []program.Figure{speed(f), reclaim(f), queue(f)} }

// fleet is the cluster with our controller, which the figures share.
type fleet struct {
	size
	plane      *plane
	controller *controller
	side       *side
	err        error // why it is not to be had
}

// filled gives the cluster with our jobs on every GPU of it. What was measured meanwhile is kept.
func (f *fleet) filled(ctx context.Context, b *program.Bench) error {
	if f.side == nil && f.err == nil {
		f.side = ours()
		f.err = f.fill(ctx, b)
	}
	return f.err
}

func (f *fleet) fill(ctx context.Context, b *program.Bench) (err error) {
	if f.plane, err = startPlane(ctx, b, f.nodes); err != nil {
		return err
	}
	if f.controller, err = startController(ctx, b, f.plane); err != nil {
		return err
	}
	for _, q := range []string{
		`{"apiVersion":"ainexus.io/v1alpha1","kind":"NexusQueue","metadata":{"name":"org"},"spec":{}}`,
		fmt.Sprintf(`{"apiVersion":"ainexus.io/v1alpha1","kind":"NexusQueue","metadata":{"name":"guest"},"spec":{"parent":"org","quota":[{"gpus":%d}]}}`, f.nodes*8-reclaims),
		fmt.Sprintf(`{"apiVersion":"ainexus.io/v1alpha1","kind":"NexusQueue","metadata":{"name":"owner"},"spec":{"parent":"org","quota":[{"gpus":%d}]}}`, reclaims),
	} {
		if err := f.plane.post(ctx, "/apis/ainexus.io/v1alpha1/nexusqueues", q); err != nil {
			return err
		}
	}
	if err := f.side.measure(ctx, f.plane, f.controller, f.size); err != nil {
		return fmt.Errorf("NexusJobs: %w", err)
	}
	return nil
}

// stop ends all that was started.
func (f *fleet) stop() error {
	if f.controller != nil {
		f.controller.stop()
	}
	if f.plane != nil {
		return f.plane.stop()
	}
	return nil
}

// speed measures both sides.
func speed(f *fleet) program.Figure {
	fast := row.Line{What: fmt.Sprintf("jobs made and bound, %d of one GPU, %d nodes x 8 GPUs, against plain Jobs", f.jobs, f.nodes), Unit: "jobs/s", Must: row.AtLeastTimes(">= 0.5x", 0.5)}
	own := row.Line{What: "API writes by the controller per job, submit to Succeeded, without Events and Leases", Unit: "writes", Must: row.AtMost("<= 6", 6)}
	everybody := row.Line{What: "API writes by everybody per job, against plain Jobs", Unit: "writes"}
	controller := row.Line{What: "CPU-seconds of our controller for the making and binding", Unit: "s"}
	lines := []row.Line{fast}
	spenders := []string{everything, "kube-apiserver", "etcd", "kube-controller-manager", "kube-scheduler", "kwok", theClient}
	for _, who := range spenders {
		lines = append(lines, row.Line{What: "CPU-seconds of " + who + " for the making and binding, against plain Jobs", Unit: "s"})
	}
	all := append(lines[:len(lines):len(lines)], controller, own, everybody)
	return program.Figure{Name: "speed", Lines: all, Measure: func(ctx context.Context, b *program.Bench, report func(row.Row)) error {
		theirs := stock()
		if err := theirs.alone(ctx, b, f.size); err != nil {
			return fmt.Errorf("plain Jobs: %w", err)
		}
		if err := f.filled(ctx, b); err != nil {
			return err
		}
		report(fast.Against(f.side.speed, theirs.speed))
		for i, who := range spenders {
			report(lines[1+i].Against(f.side.seconds[who], theirs.seconds[who]))
		}
		report(controller.Alone(f.side.seconds[theController]))
		report(own.Alone(f.side.own))
		report(everybody.Against(f.side.everybody, theirs.everybody))
		return nil
	}}
}

// reclaims is how many GPUs are lent and claimed back, one after the other.
const reclaims = 5

// grace is how long the pods of the reclaimed jobs take to end: the cluster's kwok ends them at once.
const grace = 0.0

// errNotFull is why what needs a full cluster is not measured.
var errNotFull = errors.New("the cluster did not become full in time")

// reclaim has the owner of what was lent ask for it, a GPU at a time, while others hold everything.
func reclaim(f *fleet) program.Figure {
	line := row.Line{What: "reclaim of one GPU: submit -> pod bound, beyond the grace; median of 5", Unit: "s", Must: row.AtMost("<= grace + 10 s", grace+10)}
	return program.Figure{Name: "reclaim", Lines: []row.Line{line}, Measure: func(ctx context.Context, b *program.Bench, report func(row.Row)) error {
		if err := f.filled(ctx, b); err != nil {
			return err
		}
		if !f.side.full {
			return errNotFull
		}
		p := f.plane
		var took []float64
		for i := range reclaims {
			name := fmt.Sprintf("owner-%d", i)
			if err := p.post(ctx, f.side.path, nexusJob(name, "owner", "runs")); err != nil {
				return err
			}
			if err := p.log.wait(ctx, b.Say, "the pod of "+name, func() bool { return !p.log.podOf[name].IsZero() && !p.log.created[name].IsZero() }); err != nil {
				return err
			}
			p.log.mu.Lock()
			took = append(took, p.log.podOf[name].Sub(p.log.created[name]).Seconds())
			p.log.mu.Unlock()
		}
		b.Say("reclaims: %.2f s", took)
		report(line.Alone(row.Median(took) - grace))
		return nil
	}}
}
