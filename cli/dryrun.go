package cli

import (
	"context"
	"fmt"
	"strings"

	"ainexus.io/api"
	"ainexus.io/nexus"
)

// dryRun asks what would become of a job, and submits nothing.
func (p *program) dryRun(ctx context.Context, file fileFlags, how submitFlags) error {
	job, s, err := p.prepare(file, how)
	if err != nil {
		return err
	}
	client, err := p.ensure(ctx)
	if err != nil {
		return err
	}
	f, err := forecast(ctx, client, s)
	if err != nil {
		return err
	}
	for _, n := range job.notices {
		fmt.Fprintln(p.err, "notice: "+clean(n.Message))
	}
	if ok, err := p.document(f); ok {
		return err
	}
	return p.printForecast(job.spec, f)
}

// forecast waits for a daemon that was just started to look.
func forecast(ctx context.Context, client place, s api.Submission) (f nexus.Forecast, err error) {
	for range 20 {
		if f, err = client.Forecast(ctx, s); err == nil || !unavailable(err) {
			return f, err
		}
		pause(ctx, retryPause)
	}
	return f, err
}

func (p *program) printForecast(spec nexus.Spec, f nexus.Forecast) error {
	name := clean(spec.Name)
	if f.Members > 0 {
		fmt.Fprintf(p.out, "an array of %s; of the first:\n", count(f.Members, "member"))
	}
	if f.Placement != nil {
		fmt.Fprintf(p.out, "%s would start now\n", name)
		for _, line := range planLines(api.JobView{Job: nexus.Job{Spec: spec, Placement: f.Placement}}, nil) {
			fmt.Fprintln(p.out, line)
		}
		return nil
	}
	fmt.Fprintf(p.out, "%s would wait\n", name)
	if len(f.Evict) > 0 {
		names := make([]string, len(f.Evict))
		for i, v := range f.Evict {
			names[i] = fmt.Sprintf("%s (%s, of %s)", clean(v.Name), v.Job, clean(v.User))
			if v.Nodes > 0 {
				names[i] += fmt.Sprintf(", to go on with %d of its nodes", v.Nodes)
			}
		}
		fmt.Fprintf(p.out, "would be stopped for it: %s\n", strings.Join(names, ", "))
	}
	for _, seat := range f.Reserve {
		for _, row := range seatRows(seat, 0, nil) {
			fmt.Fprintf(p.out, "  would be kept for it: %s\n", row)
		}
	}
	if f.Why == nil {
		return nil
	}
	return p.printWhy(*f.Why)
}
