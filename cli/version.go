package cli

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"
)

func (p *program) versionCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "version", Short: "Print the version of this program", Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			v := struct {
				Version string `json:"version"`
				Go      string `json:"go"`
				System  string `json:"system"`
			}{release(), runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}
			if ok, err := p.document(v); ok {
				return err
			}
			_, err := fmt.Fprintf(p.out, "nexus %s (%s, %s)\n", v.Version, v.Go, v.System)
			return err
		},
	}
	p.outputFlag(cmd, "json", "yaml")
	return cmd
}
