package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ainexus.io/api"
	"ainexus.io/nexus"
)

func (p *program) waitCommand() *cobra.Command {
	var patience time.Duration
	cmd := &cobra.Command{
		Use: "wait JOB...", Short: "Wait until jobs, or all members of arrays, are over; exit with the job's exit code",
		Args: jobArgs(1, 0),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			if patience > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, patience)
				defer cancel()
			}
			client, err := p.connect(ctx)
			if err == nil {
				err = p.waitAll(ctx, client, args)
			}
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return &exit{code: exitTimeout, err: &nexus.Error{Code: nexus.CodeUnavailable,
					Message: fmt.Sprintf("not over after %s: %s", patience, strings.Join(args, ", ")), Hint: "nexus why says why a job waits"}}
			}
			return err
		},
	}
	cmd.Flags().DurationVar(&patience, "timeout", 0, "wait no longer than this, and exit with 124; 0: for ever")
	return p.oneJob(cmd)
}

// waitAll waits for one after the other and exits with the first code that is not 0.
func (p *program) waitAll(ctx context.Context, client place, refs []string) error {
	// A name may come to mean another job while we wait: ids do not.
	var ids []string
	for _, ref := range refs {
		these, err := meant(ctx, client, ref)
		if err != nil {
			return err
		}
		ids = append(ids, these...)
	}
	var first error
	for _, id := range ids {
		view, err := waitFor(ctx, client, id)
		if err != nil {
			return err
		}
		fmt.Fprintln(p.out, outcome(view)[0])
		if first == nil {
			first = exitOf(view)
		}
	}
	return first
}

// waitFor returns the job when it is over. A daemon that is away for a while is waited for too.
func waitFor(ctx context.Context, client place, id string) (api.JobView, error) {
	f := &follower{client: client, id: id}
	events := f.watch(ctx)
	tick := time.NewTicker(refresh)
	defer tick.Stop()
	for {
		view, err := client.Job(ctx, id)
		if err == nil && view.Phase.Over() || err != nil && !unavailable(err) {
			return view, err
		}
		select {
		case <-ctx.Done():
			return view, ctx.Err()
		case <-events:
		case <-tick.C:
		}
	}
}
