package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"ainexus.io/api"
	"ainexus.io/nexus"
)

// oneJob is a command that takes the name or id of a job, and completes it.
func (p *program) oneJob(cmd *cobra.Command) *cobra.Command {
	if cmd.Args == nil {
		cmd.Args = jobArgs(1, 1)
	}
	cmd.ValidArgsFunction = p.completeJobs
	return cmd
}

// jobArgs wants that many jobs named; most 0 is no bound.
func jobArgs(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return usage(cmd, "which job?")
		case most > 0 && len(args) > most:
			return usage(cmd, "one job at a time: what is %q?", args[most])
		}
		return nil
	}
}

func (p *program) completeJobs(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	client, err := p.place()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), time.Second)
	defer cancel()
	jobs, err := client.List(ctx, api.Filter{})
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []string
	for _, j := range jobs {
		names = append(names, title(j.Job))
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func (p *program) cancelCommand() *cobra.Command {
	return p.oneJob(&cobra.Command{
		Use: "cancel JOB...", Aliases: []string{"stop"}, Short: "Cancel jobs; one that runs may save its work first",
		Args: jobArgs(1, 0),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.each(cmd.Context(), args, func(ctx context.Context, client place, ref string) error {
				job, err := client.Cancel(ctx, ref)
				if err != nil {
					return err
				}
				switch {
				case job.Members > 0:
					return p.changed(job, "cancelled; those that run may save their work")
				case job.Phase == nexus.Stopping:
					return p.changed(job, "stopping"+grace(job.Spec))
				}
				return p.changed(job, "cancelled")
			})
		},
	})
}

// changed says what became of a job, or of the members of an array.
func (p *program) changed(job api.Changed, what string) error {
	text := fmt.Sprintf("%s (%s) is %s", title(job.Job), job.ID, what)
	if m := job.Member; m != nil && job.Members > 0 {
		verb := "are"
		if job.Members == 1 {
			verb = "is"
		}
		text = fmt.Sprintf("%s (%s): %s %s %s", clean(m.Name), m.Array, count(job.Members, "member"), verb, what)
	}
	_, err := fmt.Fprintln(p.out, text)
	return err
}

// grace says how long a job may take to save its work.
func grace(spec nexus.Spec) string {
	if spec.Checkpoint == nil {
		return ""
	}
	return fmt.Sprintf("; it has %s to save its work", spec.Checkpoint.Grace)
}

func (p *program) requeueCommand() *cobra.Command {
	return p.oneJob(&cobra.Command{
		Use: "requeue JOB...", Short: "Put jobs back in line: one that is over runs again, one that runs is stopped first",
		Args: jobArgs(1, 0),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.each(cmd.Context(), args, func(ctx context.Context, client place, ref string) error {
				job, err := client.Requeue(ctx, ref)
				if err != nil {
					return err
				}
				return p.changed(job, "back in line")
			})
		},
	})
}

func (p *program) prioCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "prio JOB low|normal|high|critical", Short: "Change a job's priority",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usage(cmd, "prio takes a job and a priority")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			var priority nexus.Priority
			if err := priority.UnmarshalText([]byte(args[1])); err != nil {
				return usage(cmd, "%s", err)
			}
			client, err := p.connect(cmd.Context())
			if err != nil {
				return err
			}
			job, err := client.SetPriority(cmd.Context(), args[0], priority)
			if err != nil {
				return err
			}
			if job.Members > 0 {
				return p.changed(job, "of priority "+job.Spec.Priority.String())
			}
			_, err = fmt.Fprintf(p.out, "%s (%s) has priority %s\n", title(job.Job), job.ID, job.Spec.Priority)
			return err
		},
	}
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) == 0 {
			return p.completeJobs(cmd, args, typed)
		}
		return []string{"low", "normal", "high", "critical"}, cobra.ShellCompDirectiveNoFileComp
	}
	return cmd
}

// each does the same to several jobs. It tells every failure and exits with the code of the first.
func (p *program) each(ctx context.Context, refs []string, do func(context.Context, place, string) error) error {
	client, err := p.connect(ctx)
	if err != nil {
		return err
	}
	code := 0
	for _, ref := range refs {
		if err := do(ctx, client, ref); err != nil {
			p.tell(err)
			if code == 0 {
				code = codeOf(err)
			}
		}
	}
	if code != 0 {
		return &exit{code: code}
	}
	return nil
}
