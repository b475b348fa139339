package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"gopkg.in/yaml.v3"

	"ainexus.io/nexus"
)

// outputFlag adds -o to a command that prints things.
func (p *program) outputFlag(cmd *cobra.Command, formats ...string) {
	cmd.Flags().StringVarP(&p.output, "output", "o", "", "format: "+strings.Join(formats, ", "))
	check := cmd.PreRunE
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		for _, f := range append(formats, "") {
			if p.output == f {
				if check != nil {
					return check(cmd, args)
				}
				return nil
			}
		}
		return usage(cmd, "%q is no output format: one of %s", p.output, strings.Join(formats, ", "))
	}
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp)) // only fails if the flag is not there
}

// document prints a value as JSON or YAML; ok is false where another format was asked for.
func (p *program) document(value any) (ok bool, err error) {
	switch p.output {
	case "json":
		e := json.NewEncoder(p.out)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return true, e.Encode(value)
	case "yaml":
		data, err := yamlOf(value)
		if err != nil {
			return true, err
		}
		_, err = p.out.Write(data)
		return true, err
	}
	return false, nil
}

// yamlOf writes a value as YAML with the names and the order that it has in JSON.
func yamlOf(value any) ([]byte, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	var node yaml.Node // JSON is YAML
	if err := yaml.Unmarshal(data, &node); err != nil {
		return nil, err
	}
	plain(&node)
	var b strings.Builder
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(&node); err != nil {
		return nil, err
	}
	return []byte(b.String()), nil
}

// plain takes the quotes and braces of JSON away wherever YAML can do without.
func plain(n *yaml.Node) {
	n.Style = 0
	for _, child := range n.Content {
		plain(child)
	}
}

// table prints rows under a heading, in columns, every cell clean.
func table(w io.Writer, heading []string, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{heading}, rows...) {
		cells := make([]string, len(row))
		for i, cell := range row {
			if cells[i] = clean(cell); cells[i] == "" {
				cells[i] = "-"
			}
		}
		if _, err := fmt.Fprintln(t, strings.TrimRight(strings.Join(cells, "\t"), " ")); err != nil {
			return err
		}
	}
	return t.Flush()
}

// span writes a length of time for people: "42s", "5m", "3h20m", "2d4h".
func span(d time.Duration) string {
	switch {
	case d < 0:
		return "0s"
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%dh", int(d.Hours())/24, int(d.Hours())%24)
}

// eta says when something is expected, seen from now.
func eta(at, now time.Time) string {
	switch {
	case at.IsZero():
		return ""
	case !at.After(now):
		return "now"
	}
	return "in " + span(at.Sub(now))
}

// title is what people call a job: its name, or its id where it has none.
func title(j nexus.Job) string {
	if j.Spec.Name != "" {
		return clean(j.Spec.Name)
	}
	return j.ID
}
