package main

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"

	"ainexus.io/api"
	"ainexus.io/bench/program"
	"ainexus.io/bench/row"
	"ainexus.io/nexus"
)

const (
	burstJobs = 1000
	clients   = 16 // who submit at the same time
)

func burst() program.Figure {
	rate := row.Line{
		What: fmt.Sprintf("%d submits in a burst by %d clients at once, durably acknowledged", burstJobs, clients),
		Unit: "submits/s", Must: row.AtLeast(">= 300/s", 300),
	}
	lost := row.Line{
		What: "acknowledged submits lost after kill -9 of the daemon at the burst's end, over all bursts",
		Unit: "jobs", Must: row.AtMost("none lost", 0),
	}
	alone := row.Line{What: fmt.Sprintf("%d submits by one client, one after the other", burstJobs), Unit: "submits/s"}
	return program.Figure{Name: "burst", Lines: []row.Line{rate, lost, alone}, Measure: func(ctx context.Context, b *program.Bench, report func(row.Row)) error {
		many, missing, err := bursts(ctx, b, b.Times(30), clients)
		if err != nil {
			return err
		}
		one, missing1, err := bursts(ctx, b, b.Times(5), 1)
		if err != nil {
			return err
		}
		report(rate.Alone(row.Median(many)))
		report(lost.Alone(float64(missing + missing1)))
		report(alone.Alone(row.Median(one)))
		b.Say("%d and %d bursts; the slowest %d clients at once: %.0f/s", len(many), len(one), clients, row.Percentile(many, 0))
		return nil
	}}
}

// bursts gives the rate of each burst and how many acknowledged jobs were not there afterwards.
func bursts(ctx context.Context, b *program.Bench, n, clients int) (rates []float64, lost int, err error) {
	for range n {
		rate, missing, err := oneBurst(ctx, b, clients)
		if err != nil {
			return nil, 0, err
		}
		rates, lost = append(rates, rate), lost+missing
	}
	return rates, lost, nil
}

// oneBurst fills a new daemon's queue, kills the daemon and counts what its successor knows. All seats are taken by a
// first job, so the burst waits and only submitting is measured.
func oneBurst(ctx context.Context, b *program.Bench, clients int) (rate float64, lost int, err error) {
	d, err := startDaemon(ctx, b)
	if err != nil {
		return 0, 0, err
	}
	defer d.close()
	if err := d.occupy(ctx, b); err != nil {
		return 0, 0, err
	}
	s, err := spec("name: burst\nrun: [/bin/true]\n")
	if err != nil {
		return 0, 0, err
	}
	begin := time.Now()
	acknowledged, err := d.submitMany(ctx, submission(b, s), burstJobs, clients)
	took := time.Since(begin)
	if err != nil {
		return 0, 0, err
	}
	if err := d.kill(); err != nil {
		return 0, 0, err
	}
	if err := d.up(ctx); err != nil {
		return 0, 0, err
	}
	known, err := d.ids(ctx, api.Filter{})
	for _, id := range acknowledged {
		if !known[id] {
			lost++
		}
	}
	return burstJobs / took.Seconds(), lost, err
}

// occupy lets one job take every cpu slot.
func (d *daemon) occupy(ctx context.Context, b *program.Bench) error {
	s, err := spec("name: occupant\nworkers: 1\nresources: {cpu: %d}\nrun: sleep 600\n", runtime.NumCPU())
	if err != nil {
		return err
	}
	job, err := d.Submit(ctx, submission(b, s))
	if err != nil {
		return err
	}
	return d.await(ctx, job.ID, time.Minute, running)
}

// submitMany submits n jobs over so many clients and gives the ids that were acknowledged.
func (d *daemon) submitMany(ctx context.Context, s api.Submission, n, clients int) ([]string, error) {
	ids, errs := make([]string, n), make([]error, clients)
	var all sync.WaitGroup
	for c := range clients {
		all.Go(func() {
			client := api.NewSocketClient(d.socket()) // of its own: with a connection of its own
			defer client.Close()
			for i := c; i < n && errs[c] == nil; i += clients {
				var job nexus.Job
				if job, errs[c] = client.Submit(ctx, s); errs[c] == nil {
					ids[i] = job.ID
				}
			}
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, fmt.Errorf("submitting %d jobs: %w", n, err)
		}
	}
	return ids, nil
}

// ids is every job that the daemon knows and the filter lets through.
func (d *daemon) ids(ctx context.Context, filter api.Filter) (map[string]bool, error) {
	known := make(map[string]bool)
	filter.Limit = 1000
	for {
		page, err := d.List(ctx, filter)
		if err != nil || len(page) == 0 {
			return known, err
		}
		for _, j := range page {
			known[j.ID] = true
		}
		filter.Before = page[len(page)-1].ID
	}
}
