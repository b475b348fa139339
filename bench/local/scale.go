package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"ainexus.io/api"
	"ainexus.io/attempt"
	"ainexus.io/bench/machine"
	"ainexus.io/bench/program"
	"ainexus.io/bench/row"
	"ainexus.io/cluster/local/store"
	"ainexus.io/nexus"
)

const (
	finishedJobs = 10_000
	runningJobs  = 100
)

func scale() program.Figure {
	where := fmt.Sprintf("daemon with %d finished and %d running jobs: ", finishedJobs, runningJobs)
	memory := row.Line{What: where + "its RSS", Unit: "MiB", Must: row.AtMost("RSS <= 128 MiB", 128)}
	ps := row.Line{What: where + "nexus ps, the whole process, median", Unit: "ms", Must: row.AtMost("ps <= 100 ms", 100)}
	all := row.Line{What: where + "nexus ps --all --limit 0, which prints every job, median", Unit: "ms"}
	return program.Figure{Name: "scale", Lines: []row.Line{memory, ps, all}, Measure: func(ctx context.Context, b *program.Bench, report func(row.Row)) error {
		return measureScale(ctx, b, memory, ps, all, report)
	}}
}

func measureScale(ctx context.Context, b *program.Bench, memory, ps, all row.Line, report func(row.Row)) error {
	d, err := newDaemon(ctx, b)
	if err != nil {
		return err
	}
	defer d.close()
	began := time.Now()
	if err := seed(ctx, d.state); err != nil {
		return fmt.Errorf("seeding finished jobs: %w", err)
	}
	b.Say("seeded %d finished jobs in %v", finishedJobs, time.Since(began).Round(time.Millisecond))
	if err := d.up(ctx); err != nil {
		return err
	}
	began = time.Now()
	if err := d.runMany(ctx, b); err != nil {
		return err
	}
	b.Say("%d jobs running after %v", runningJobs, time.Since(began).Round(time.Millisecond))
	live, err := d.timePs(ctx, b.Times(40), runningJobs)
	if err != nil {
		return err
	}
	every, err := d.timePs(ctx, b.Times(30), runningJobs+finishedJobs, "--all", "--limit", "0")
	if err != nil {
		return err
	}
	rss, err := machine.RSS(d.cmd.Process.Pid)
	if err != nil {
		return err
	}
	report(memory.Alone(float64(rss) / (1 << 20)))
	report(ps.Alone(row.Median(live)))
	report(all.Alone(row.Median(every)))
	b.Say("%d and %d samples of ps; p95 %.1f and %.1f ms", len(live), len(every), row.Percentile(live, 95), row.Percentile(every, 95))
	return nil
}

// timePs runs `nexus ps` n times, each of which must show that many jobs at least, and gives the times in ms.
func (d *daemon) timePs(ctx context.Context, n, jobs int, flags ...string) ([]float64, error) {
	var times []float64
	for range n {
		begin := time.Now()
		out, err := d.nexusCommand(ctx, append([]string{"ps"}, flags...)...).CombinedOutput()
		times = append(times, float64(time.Since(begin))/1e6)
		if err != nil {
			return nil, fmt.Errorf("nexus ps: %w: %s", err, out)
		}
		if lines := strings.Count(string(out), "\n"); lines < jobs+1 { // and a heading
			return nil, fmt.Errorf("nexus ps shows %d lines, fewer than there are jobs", lines)
		}
	}
	return times, nil
}

// seed leaves behind what so many finished jobs do: records, events, and the attempts' directories. To run them all
// would take longer than the whole benchmark may.
func seed(ctx context.Context, state string) error {
	s, err := spec("name: finished\nrun: [/bin/true]\n")
	if err != nil {
		return err
	}
	db, err := store.Open(ctx, filepath.Join(state, "nexus.db"), store.Options{})
	if err != nil {
		return err
	}
	defer db.Close()
	var work errgroup.Group
	work.SetLimit(32)
	begin := time.Now().Add(-finishedJobs * time.Second)
	for i := range finishedJobs {
		work.Go(func() error {
			job := finishedJob(s, i, begin.Add(time.Duration(i)*time.Second))
			dir := attempt.At(filepath.Join(state, "attempts"), job.ID, 1)
			order := nexus.Order{Job: job.ID, Attempt: 1, User: job.User, Spec: s, Workdir: state}
			if err := dir.Create(order); err != nil {
				return err
			}
			if err := dir.WriteResult(*job.Result); err != nil {
				return err
			}
			return db.Do(ctx, func(tx *store.Tx) error { return insert(tx, job, state) })
		})
	}
	return work.Wait()
}

func finishedJob(s nexus.Spec, i int, submitted time.Time) nexus.Job {
	ended := submitted.Add(time.Second)
	return nexus.Job{
		ID: fmt.Sprintf("f%011x", i), Spec: s, User: fmt.Sprint(os.Getuid()), Submitted: submitted, Phase: nexus.Succeeded,
		Attempt: 1, Started: submitted, Finished: ended,
		Result: &nexus.Result{Attempt: 1, OK: true, Rank: -1, Message: "all workers ended well", Ended: ended, LostSeconds: -1},
	}
}

func insert(tx *store.Tx, job nexus.Job, workdir string) error {
	kept := store.Kept{Workdir: workdir, Env: map[string]string{"PATH": "/usr/bin:/bin"}}
	if err := tx.Insert(store.Record{Job: job, Kept: kept}, ""); err != nil {
		return err
	}
	for _, phase := range []nexus.Phase{nexus.Pending, nexus.Starting, nexus.Running, nexus.Succeeded} {
		e := nexus.Event{At: job.Finished, Job: job.ID, Attempt: 1, Kind: nexus.EventPhase, Message: string(phase)}
		if err := tx.Event(e); err != nil {
			return err
		}
	}
	return nil
}

// runMany starts jobs that sleep, each on a hundredth of a cpu slot, and waits until all of them run.
func (d *daemon) runMany(ctx context.Context, b *program.Bench) error {
	s, err := spec("name: sleeper\nresources: {cpu: 10m}\nrun: sleep 3600\n")
	if err != nil {
		return err
	}
	if _, err := d.submitMany(ctx, submission(b, s), runningJobs, clients); err != nil {
		return err
	}
	n := 0
	err = machine.Until(ctx, 3*time.Minute, func() (bool, error) {
		jobs, err := d.List(ctx, api.Filter{Phases: []nexus.Phase{nexus.Running}, Limit: 1000})
		n = len(jobs)
		return n == runningJobs, err
	})
	if err != nil {
		return fmt.Errorf("waiting for the jobs to run, %d of %d do: %w", n, runningJobs, err)
	}
	return nil
}
