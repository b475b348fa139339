package cli

import (
	"context"

	"github.com/spf13/cobra"
)

func (p *program) holdCommand() *cobra.Command {
	return p.oneJob(&cobra.Command{
		Use: "hold JOB...", Short: "Keep jobs that wait from starting until they are released",
		Args: jobArgs(1, 0),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.each(cmd.Context(), args, func(ctx context.Context, client place, ref string) error {
				job, err := client.Hold(ctx, ref, "")
				if err != nil {
					return err
				}
				return p.changed(job, "held by "+clean(job.HeldBy))
			})
		},
	})
}

func (p *program) releaseCommand() *cobra.Command {
	return p.oneJob(&cobra.Command{
		Use: "release JOB...", Short: "Let held jobs start again",
		Args: jobArgs(1, 0),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.each(cmd.Context(), args, func(ctx context.Context, client place, ref string) error {
				job, err := client.Release(ctx, ref)
				if err != nil {
					return err
				}
				return p.changed(job, "released")
			})
		},
	})
}
