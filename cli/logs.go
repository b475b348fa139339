package cli

import (
	"github.com/spf13/cobra"

	"ainexus.io/api"
)

func (p *program) logsCommand() *cobra.Command {
	q := api.LogQuery{}
	cmd := &cobra.Command{
		Use: "logs JOB", Short: "Print a job's output, each line prefixed with its rank",
		RunE: func(cmd *cobra.Command, args []string) error {
			if q.Attempt < 0 || q.Round < -1 || q.Rank < -1 || q.Tail < 0 {
				return usage(cmd, "attempt, round, rank and tail are not negative")
			}
			client, err := p.connect(cmd.Context())
			if err != nil {
				return err
			}
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			out := &lines{to: func(line string) error { return p.print(p.logLine(line)) }}
			err = client.Logs(ctx, args[0], q, out)
			if last := out.finish(); err == nil {
				err = last
			}
			return quiet(ctx, err)
		},
	}
	cmd.Flags().BoolVarP(&q.Follow, "follow", "f", false, "go on until the job is over")
	cmd.Flags().IntVar(&q.Attempt, "attempt", 0, "of this attempt; 0: the live or last one")
	cmd.Flags().IntVar(&q.Round, "round", -1, "of this round; -1: all of them")
	cmd.Flags().IntVar(&q.Rank, "rank", -1, "of this rank, without prefix; -1: all of them")
	cmd.Flags().IntVarP(&q.Tail, "tail", "n", 0, "only the last lines of each rank; 0: all")
	cmd.Flags().BoolVar(&q.Setup, "setup", false, "the output of setup instead")
	return p.oneJob(cmd)
}
