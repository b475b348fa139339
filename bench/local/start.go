package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"ainexus.io/api"
	"ainexus.io/bench/machine"
	"ainexus.io/bench/program"
	"ainexus.io/bench/row"
)

func start() program.Figure {
	submit := row.Line{
		What: "nexus submit -> first line of user code in the last of 4 workers, running daemon, against spawning the same processes; p95",
		Unit: "ms", Must: row.AtMostMore("<= +150 ms p95", 150),
	}
	call := row.Line{What: "the same from the call of api.Client.Submit, without the command's own process; p95", Unit: "ms"}
	return program.Figure{Name: "start", Lines: []row.Line{submit, call}, Measure: func(ctx context.Context, b *program.Bench, report func(row.Row)) error {
		return measureStart(ctx, b, submit, call, report)
	}}
}

// measureStart takes turns: by the command, directly, by the API.
func measureStart(ctx context.Context, b *program.Bench, submit, call row.Line, report func(row.Row)) error {
	d, err := startDaemon(ctx, b)
	if err != nil {
		return err
	}
	defer d.close()
	ways := []func(context.Context, *program.Bench, *daemon, string) (time.Time, error){byCommand, directly, byAPI}
	times := make([][]float64, len(ways))
	for i := range b.Times(40) {
		for w, way := range ways {
			file := filepath.Join(b.Dir, fmt.Sprintf("start-%d-%d", i, w))
			begin, err := way(ctx, b, d, file)
			if err != nil {
				return err
			}
			last, err := lastStamp(ctx, file)
			if err != nil {
				return err
			}
			times[w] = append(times[w], float64(last.Sub(begin))/1e6)
			if err := d.idle(ctx); err != nil {
				return err
			}
		}
	}
	report(submit.Against(row.Percentile(times[0], 95), row.Percentile(times[1], 95)))
	report(call.Against(row.Percentile(times[2], 95), row.Percentile(times[1], 95)))
	b.Say("%d samples each; medians: command %.1f, directly %.1f, api %.1f ms", len(times[0]),
		row.Median(times[0]), row.Median(times[1]), row.Median(times[2]))
	return nil
}

func stampJob(d *daemon, file string) string {
	return fmt.Sprintf("name: start\nworkers: %d\nrun: [%q, %q]\n", world, d.stamp, file)
}

func byCommand(ctx context.Context, b *program.Bench, d *daemon, file string) (time.Time, error) {
	job := file + ".yaml"
	if err := os.WriteFile(job, []byte(stampJob(d, file)), 0o600); err != nil {
		return time.Time{}, err
	}
	begin := time.Now()
	if out, err := d.nexusCommand(ctx, "submit", job).CombinedOutput(); err != nil {
		return begin, fmt.Errorf("nexus submit: %w: %s", err, out)
	}
	return begin, nil
}

func byAPI(ctx context.Context, b *program.Bench, d *daemon, file string) (time.Time, error) {
	s, err := spec("%s", stampJob(d, file))
	if err != nil {
		return time.Time{}, err
	}
	begin := time.Now()
	_, err = d.Submit(ctx, submission(b, s))
	return begin, err
}

func directly(ctx context.Context, b *program.Bench, d *daemon, file string) (time.Time, error) {
	begin := time.Now()
	var workers []*exec.Cmd
	defer func() {
		for _, w := range workers {
			w.Wait()
		}
	}()
	for range world {
		w := exec.CommandContext(ctx, d.stamp, file)
		if err := w.Start(); err != nil {
			return begin, err
		}
		workers = append(workers, w)
	}
	return begin, nil
}

// lastStamp waits until all workers have told their time, and gives the latest.
func lastStamp(ctx context.Context, file string) (time.Time, error) {
	var last time.Time
	err := machine.Until(ctx, 30*time.Second, func() (bool, error) {
		text, err := os.ReadFile(file)
		if os.IsNotExist(err) {
			return false, nil
		}
		if err != nil || strings.Count(string(text), "\n") < world {
			return false, err
		}
		for line := range strings.FieldsSeq(string(text)) {
			ns, err := strconv.ParseInt(line, 10, 64)
			if err != nil {
				return false, err
			}
			if at := time.Unix(0, ns); at.After(last) {
				last = at
			}
		}
		return true, nil
	})
	if err != nil {
		return last, fmt.Errorf("waiting for the workers' first lines: %w", err)
	}
	return last, nil
}

// idle waits until no job is left, so that the next start finds the machine free.
func (d *daemon) idle(ctx context.Context) error {
	return machine.Until(ctx, 30*time.Second, func() (bool, error) {
		jobs, err := d.List(ctx, api.Filter{Live: true})
		return len(jobs) == 0, err
	})
}
