package cli

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"ainexus.io/api"
	"ainexus.io/nexus"
)

func (p *program) runCommand() *cobra.Command {
	var file fileFlags
	var detach bool
	cmd := &cobra.Command{
		Use: "run FILE", Short: "Run a job and follow it to its end",
		Long: "Submits the job and follows it: the plan, the output of all ranks, restarts, how it ended. Exits with the job's exit code.\n" +
			"Ctrl-C cancels the job, which may save its work first; twice leaves it running.",
		Example: "  nexus run job.yaml\n  nexus run job.yaml --set resources.gpus=2 --set env.LR=0.1",
		Args:    file.args,
		RunE: func(cmd *cobra.Command, _ []string) error {
			// From here on Ctrl-C has its meaning for the job: none may be left behind unseen.
			signals := make(chan os.Signal, 2)
			signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
			defer signal.Stop(signals)
			view, client, err := p.submit(cmd.Context(), file, submitFlags{one: !detach})
			if err != nil {
				return err
			}
			if detach {
				return p.submitted(view)
			}
			return p.runToEnd(cmd.Context(), client, view, signals)
		},
	}
	file.add(cmd)
	cmd.Flags().BoolVarP(&detach, "detach", "d", false, "return as soon as the job is submitted")
	return cmd
}

// runToEnd follows a job that was just submitted.
func (p *program) runToEnd(ctx context.Context, client place, view api.JobView, signals <-chan os.Signal) error {
	f := p.newFollower(client, view.ID, signals)
	_ = f.screen.line("%s is job %s", title(view.Job), view.ID)
	for _, notice := range view.Notices {
		_ = f.screen.line("notice: %s", clean(notice))
	}
	f.onSignal = func(n int, view api.JobView) bool {
		if n > 1 {
			return true
		}
		short, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		if _, err := client.Cancel(short, view.ID); err != nil {
			var e *nexus.Error
			if errors.As(err, &e) && e.Code == nexus.CodeConflict {
				return false // it is over already
			}
			_ = f.screen.line("the job could not be cancelled: %s", clean(err.Error()))
			return true
		}
		_ = f.screen.line("cancelling%s; Ctrl-C again leaves it to itself", grace(view.Spec))
		return false
	}
	return p.ended(ctx, f)
}

func (p *program) newFollower(client place, id string, signals <-chan os.Signal) *follower {
	f := &follower{client: client, screen: p.newScreen(), id: id, signals: signals, other: p.away()}
	f.revive = func(ctx context.Context) error {
		if _, cluster, err := p.cluster(); err != nil || cluster || p.remote() != "" {
			pause(ctx, retryPause)
			return nil
		}
		_, err := p.ensure(ctx)
		return err
	}
	return f
}

// ended follows, tells the outcome and exits as the job did.
func (p *program) ended(ctx context.Context, f *follower) error {
	view, err := f.follow(ctx)
	if errors.Is(err, errLeft) {
		_ = f.screen.line("%s goes on as job %s: nexus attach %s", title(view.Job), f.id, f.id)
		return &exit{code: exitDetached}
	}
	if err != nil {
		return err
	}
	told := outcome(view)
	for _, line := range slices.Insert(told, 1, causeLines(view.Result, f.screen.safe)...) {
		_ = f.screen.line("%s", line)
	}
	return exitOf(view)
}

func (p *program) attachCommand() *cobra.Command {
	return p.oneJob(&cobra.Command{
		Use: "attach JOB", Short: "Follow a job to its end, as run does; Ctrl-C leaves it running",
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := p.connect(cmd.Context())
			if err != nil {
				return err
			}
			view, err := client.Job(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			signals := make(chan os.Signal, 2)
			signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
			defer signal.Stop(signals)
			f := p.newFollower(client, view.ID, signals)
			f.onSignal = func(int, api.JobView) bool { return true }
			return p.ended(cmd.Context(), f)
		},
	})
}
