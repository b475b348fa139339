package cli

import (
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"ainexus.io/nexus"
)

func (p *program) historyCommand() *cobra.Command {
	var by, since string
	cmd := &cobra.Command{
		Use: "history", Short: "Tell who had how many GPU-hours of which queue", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if by != "" && by != "queue" && by != "user" {
				return usage(cmd, "%q is neither queue nor user", by)
			}
			back, err := nexus.ParseDuration(since)
			if err != nil || back <= 0 {
				return usage(cmd, "%q is not a length of time such as 36h or 30d", since)
			}
			client, err := p.connect(cmd.Context())
			if err != nil {
				return err
			}
			list, err := client.History(cmd.Context(), by, back)
			if err != nil {
				return err
			}
			if ok, err := p.document(list); ok {
				return err
			}
			return p.printHistory(list.History, by)
		},
	}
	cmd.Flags().StringVar(&by, "by", "", "add up by queue or by user (default: by both)")
	cmd.Flags().StringVar(&since, "since", "7d", "how far back, to the hour")
	p.outputFlag(cmd, "json", "yaml", "wide")
	return cmd
}

func (p *program) printHistory(list []nexus.QueueHistory, by string) error {
	var heading []string
	if by != "user" {
		heading = append(heading, "QUEUE")
	}
	if by != "queue" {
		heading = append(heading, "USER")
	}
	heading = append(heading, "GPU-HOURS", "JOBS", "ATTEMPTS", "WAITED", "PRICE")
	if p.output == "wide" {
		heading = append(heading, "CPU-HOURS")
	}
	var rows [][]string
	for _, h := range list {
		var row []string
		if by != "user" {
			row = append(row, h.Queue)
		}
		if by != "queue" {
			row = append(row, h.User)
		}
		price := ""
		if h.Price > 0 {
			price = h.Price.String()
		}
		row = append(row, hoursText(h.GPUSeconds), strconv.Itoa(h.Jobs), strconv.Itoa(h.Attempts), span(time.Duration(h.WaitSeconds)*time.Second), price)
		if p.output == "wide" {
			row = append(row, hoursText(h.CPUSeconds))
		}
		rows = append(rows, row)
	}
	return table(p.out, heading, rows)
}

// hoursText writes seconds as hours with two decimals.
func hoursText(seconds int64) string { return fmt.Sprintf("%d.%02d", seconds/3600, seconds%3600/36) }
