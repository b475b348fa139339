package cli

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"ainexus.io/api"
	"ainexus.io/nexus"
)

func (p *program) nodesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "nodes", Short: "List nodes and their devices as they are now", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := p.connect(cmd.Context())
			if err != nil {
				return err
			}
			nodes, err := client.Nodes(cmd.Context())
			if err != nil {
				return err
			}
			return p.printNodes(nodes)
		},
	}
	p.outputFlag(cmd, "json", "yaml", "wide", "name")
	return cmd
}

func (p *program) printNodes(nodes []api.NodeView) error {
	if ok, err := p.document(api.NodeList{Nodes: nodes}); ok {
		return err
	}
	if p.output == "name" {
		for _, n := range nodes {
			fmt.Fprintln(p.out, clean(n.Name))
		}
		return nil
	}
	var rows [][]string
	for _, n := range nodes {
		rows = append(rows, []string{n.Name, string(n.State), fmt.Sprintf("%s/%s", n.CPUUsed, n.CPU),
			fmt.Sprintf("%s/%s", n.MemoryUsed, n.Memory), strconv.Itoa(len(n.Devices)), strconv.Itoa(len(n.Jobs))})
	}
	if err := table(p.out, []string{"NODE", "STATE", "CPU", "MEMORY", "GPUS", "JOBS"}, rows); err != nil {
		return err
	}
	for _, n := range nodes {
		if len(n.Devices) == 0 && n.NoGPU != "" {
			fmt.Fprintf(p.out, "\n%s has no GPU: %s\n", clean(n.Name), clean(n.NoGPU))
		}
	}
	return p.printDevices(nodes)
}

func (p *program) printDevices(nodes []api.NodeView) error {
	heading := []string{"NODE", "GPU", "MODEL", "UTIL", "MEM USED", "MEM HELD", "MEM TOTAL", "TEMP", "POWER", "JOBS", "PROBLEM"}
	if p.output == "wide" {
		heading = append(heading, "UUID", "SAMPLED")
	}
	var rows [][]string
	for _, n := range nodes {
		for _, d := range n.Devices {
			row := []string{n.Name, strconv.Itoa(d.Index), d.Model, known(int64(d.UtilPercent), "%d %%"), memory(d.Used),
				memory(d.Allocated), memory(d.Memory), known(int64(d.TemperatureC), "%d C"),
				power(d.PowerMW, d.PowerLimitMW), strings.Join(d.Jobs, ","), d.Problem}
			if p.output == "wide" {
				row = append(row, d.UUID, d.Sampled.Local().Format("15:04:05"))
			}
			rows = append(rows, row)
		}
	}
	if len(rows) == 0 {
		return nil
	}
	fmt.Fprintln(p.out)
	return table(p.out, heading, rows)
}

// known writes a number that is negative where nobody measures it.
func known(n int64, format string) string {
	if n < 0 {
		return ""
	}
	return fmt.Sprintf(format, n)
}

func memory(m nexus.MiB) string {
	if m < 0 {
		return ""
	}
	return m.String()
}

func power(now, limit int64) string {
	switch {
	case now < 0:
		return ""
	case limit <= 0:
		return fmt.Sprintf("%d W", now/1000)
	}
	return fmt.Sprintf("%d/%d W", now/1000, limit/1000)
}

func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage(cmd, "%s takes no arguments: what is %q?", cmd.Name(), args[0])
	}
	return nil
}
