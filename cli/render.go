package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"ainexus.io/api"
	"ainexus.io/nexus/jobfile"
)

func (p *program) renderCommand() *cobra.Command {
	var file fileFlags
	cmd := &cobra.Command{
		Use: "render -f FILE", Short: "Print a job file with all its defaults; nothing is submitted",
		Args: file.args,
		RunE: func(*cobra.Command, []string) error {
			job, err := p.readJob(file)
			if err != nil {
				return err
			}
			for _, n := range job.notices {
				fmt.Fprintln(p.err, "notice: "+clean(n.Message))
			}
			spec := api.Redact(job.spec)
			if p.output == "json" {
				_, err := p.document(spec)
				return err
			}
			_, err = p.out.Write(jobfile.Render(spec))
			return err
		},
	}
	file.add(cmd)
	p.outputFlag(cmd, "yaml", "json")
	return cmd
}
