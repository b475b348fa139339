package cli

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"ainexus.io/api"
)

func (p *program) queuesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "queues", Short: "List queues and how busy they are", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := p.connect(cmd.Context())
			if err != nil {
				return err
			}
			queues, err := client.Queues(cmd.Context())
			if err != nil {
				return err
			}
			if ok, err := p.document(api.QueueList{Queues: queues}); ok {
				return err
			}
			if p.output == "name" {
				for _, q := range queues {
					fmt.Fprintln(p.out, clean(q.Name))
				}
				return nil
			}
			var rows [][]string
			for _, q := range queues {
				rows = append(rows, []string{q.Name, strconv.Itoa(q.Pending), strconv.Itoa(q.Running), strconv.Itoa(q.GPUs)})
			}
			return table(p.out, []string{"QUEUE", "PENDING", "RUNNING", "GPUS"}, rows)
		},
	}
	p.outputFlag(cmd, "json", "yaml", "wide", "name")
	return cmd
}
