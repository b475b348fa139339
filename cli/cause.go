package cli

import (
	"context"
	"strconv"

	"ainexus.io/api"
	"ainexus.io/nexus"
)

// causeLines tell of the worker that failed first, below the sentence that says how it ended: what makes it the first and when
// that was, where its output is, and the last lines of it. Empty where no worker is to blame.
func causeLines(r *nexus.Result, safe func(string) string) []string {
	if r == nil || r.OK || r.Fault == nil && len(r.Tail) == 0 {
		return nil
	}
	var lines []string
	switch {
	case r.Fault != nil:
		fault := *r.Fault
		fault.At = fault.At.Local()
		lines = append(lines, "  "+clean(fault.When(r.Round)), "  "+clean(fault.Where(len(r.Tail))))
	case r.Cause == nexus.CauseHang && r.Rank >= 0:
		lines = append(lines, "  the last that is known of rank "+strconv.Itoa(r.Rank)+":")
	case r.Cause == nexus.CauseSetup:
		lines = append(lines, "  the last lines of setup:")
	default:
		lines = append(lines, "  the last lines:")
	}
	for _, line := range r.Tail {
		lines = append(lines, "  | "+safe(line))
	}
	return lines
}

// printCause tells of the worker because of which a job failed.
func (p *program) printCause(ctx context.Context, client api.Jobs, id string) error {
	view, err := client.Job(ctx, id)
	if err != nil {
		return err
	}
	for _, line := range causeLines(view.Result, p.logLine) {
		if err := p.print(line); err != nil {
			return err
		}
	}
	return nil
}
