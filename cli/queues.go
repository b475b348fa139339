package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"ainexus.io/api"
	"ainexus.io/nexus"
	"ainexus.io/nexus/jobfile"
)

func (p *program) queuesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "queues", Short: "List queues: what they are entitled to, what they hold, who waits",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage(cmd, "%q is neither apply, get nor delete", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := p.connect(cmd.Context())
			if err != nil {
				return err
			}
			queues, err := client.Queues(cmd.Context())
			if err != nil {
				return err
			}
			return p.printQueues(queues)
		},
	}
	p.outputFlag(cmd, "json", "yaml", "wide", "name")
	cmd.AddCommand(p.applyQueuesCommand(), p.getQueueCommand(), p.deleteQueueCommand())
	return cmd
}

func (p *program) printQueues(queues []nexus.QueueState) error {
	if ok, err := p.document(api.QueueList{Queues: queues}); ok {
		return err
	}
	if p.output == "name" {
		for _, q := range queues {
			fmt.Fprintln(p.out, clean(q.Name))
		}
		return nil
	}
	heading := []string{"QUEUE", "PARENT", "PENDING", "RUNNING", "GPUS", "QUOTA", "BORROWED"}
	wide := p.output == "wide"
	if wide {
		heading = append(heading, "MODELS", "SHARES", "CPU", "WEIGHT", "ORDER", "USERS", "PRICE")
	}
	var rows [][]string
	for _, q := range queues {
		all := q.Rows[0]
		row := []string{q.Name, q.Parent, strconv.Itoa(q.Pending), strconv.Itoa(q.Running), strconv.Itoa(all.GPUs), number(all.Quota), strconv.Itoa(all.Borrowed)}
		if wide {
			price := ""
			if q.PricePerGPUHour > 0 {
				price = q.PricePerGPUHour.String()
			}
			row = append(row, quotasOf(q), all.GPUMemory.String(), all.CPU.String(), strconv.Itoa(q.Share()), string(q.Order), strings.Join(q.Users, ","), price)
		}
		rows = append(rows, row)
	}
	return table(p.out, heading, rows)
}

// number writes a limit, where there is one.
func number(n *int) string {
	if n == nil {
		return ""
	}
	return strconv.Itoa(*n)
}

// quotasOf says how much of each model a queue has, of how much: "H100 2/8".
func quotasOf(q nexus.QueueState) string {
	var list []string
	for _, row := range q.Rows[1:] {
		if row.Quota != nil {
			list = append(list, fmt.Sprintf("%s %d/%d", row.GPUModel, row.GPUs, *row.Quota))
		}
	}
	return strings.Join(list, ", ")
}

func (p *program) applyQueuesCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "apply -f FILE", Short: "Add the queues of a file and replace those of the same name; running jobs go on",
		Args: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) == 1 && file == "":
				file = args[0]
			case len(args) > 0:
				return usage(cmd, "one file at a time")
			case file == "":
				return usage(cmd, "which file?")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			queues, notices, err := p.readQueues(file)
			if err != nil {
				return err
			}
			client, err := p.connect(cmd.Context())
			if err != nil {
				return err
			}
			changes, err := client.ApplyQueues(cmd.Context(), queues)
			if err != nil {
				return err
			}
			for _, n := range changes.Notices {
				notices = append(notices, jobfile.Notice{Message: n})
			}
			slices.SortFunc(notices, func(a, b jobfile.Notice) int { return strings.Compare(a.Message, b.Message) })
			for _, n := range slices.CompactFunc(notices, func(a, b jobfile.Notice) bool { return a.Message == b.Message }) {
				fmt.Fprintln(p.err, "notice: "+clean(n.Message))
			}
			if ok, err := p.document(changes); ok {
				return err
			}
			for _, q := range changes.Queues {
				fmt.Fprintf(p.out, "queue %s is %s\n", clean(q.Name), q.Change)
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", "the file of queues (- is standard input)")
	p.outputFlag(cmd, "json", "yaml")
	return cmd
}

// readQueues reads a file of queues.
func (p *program) readQueues(path string) ([]nexus.Queue, []jobfile.Notice, error) {
	name, in := "standard input", p.in
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, nil, &nexus.Error{Code: nexus.CodeInvalid, Message: fmt.Sprintf("the file of queues cannot be read: %s", err), Hint: "docs/queues.md shows what is in one"}
		}
		defer file.Close()
		name, in = path, file
	}
	data, err := io.ReadAll(io.LimitReader(in, maxJobFile+1))
	if err != nil {
		return nil, nil, fmt.Errorf("reading %s: %w", name, err)
	}
	queues, notices, err := jobfile.ParseQueues(data, filepath.Base(name))
	if err != nil {
		return nil, nil, &exit{code: exitUsage, err: placed(name, err)}
	}
	return queues, notices, nil
}

func (p *program) getQueueCommand() *cobra.Command {
	cmd := p.oneQueue(&cobra.Command{
		Use: "get NAME", Short: "Print a queue as its file has it",
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := p.connect(cmd.Context())
			if err != nil {
				return err
			}
			queues, err := client.Queues(cmd.Context())
			if err != nil {
				return err
			}
			i := slices.IndexFunc(queues, func(q nexus.QueueState) bool { return q.Name == args[0] })
			if i < 0 {
				return &nexus.Error{Code: nexus.CodeNotFound, Message: "there is no queue " + quote(args[0]), Hint: "nexus queues lists them"}
			}
			if p.output == "json" {
				_, err := p.document(queues[i].Queue)
				return err
			}
			_, err = p.out.Write(jobfile.RenderQueue(queues[i].Queue))
			return err
		},
	})
	p.outputFlag(cmd, "yaml", "json")
	return cmd
}

func (p *program) deleteQueueCommand() *cobra.Command {
	return p.oneQueue(&cobra.Command{
		Use: "delete NAME", Short: "Delete a queue that has no jobs; the default one stays, without limits",
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := p.connect(cmd.Context())
			if err != nil {
				return err
			}
			if err := client.DeleteQueue(cmd.Context(), args[0]); err != nil {
				return err
			}
			_, err = fmt.Fprintf(p.out, "queue %s is deleted\n", clean(args[0]))
			return err
		},
	})
}

// oneQueue is a command that takes the name of a queue, and completes it.
func (p *program) oneQueue(cmd *cobra.Command) *cobra.Command {
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usage(cmd, "which queue?")
		}
		return nil
	}
	cmd.ValidArgsFunction = func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return p.completeQueues(cmd.Context())
	}
	return cmd
}

func (p *program) completeQueues(ctx context.Context) ([]string, cobra.ShellCompDirective) {
	client, err := p.place()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	queues, err := client.Queues(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []string
	for _, q := range queues {
		names = append(names, clean(q.Name))
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
