package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"ainexus.io/api"
	"ainexus.io/nexus"
)

func (p *program) submitCommand() *cobra.Command {
	var file fileFlags
	var how submitFlags
	var dry bool
	cmd := &cobra.Command{
		Use: "submit FILE", Short: "Submit a job and return", Example: "  nexus submit job.yaml --set priority=high",
		Args: file.args,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dry {
				return p.dryRun(cmd.Context(), file, how)
			}
			view, _, err := p.submit(cmd.Context(), file, how)
			if err != nil {
				return err
			}
			return p.submitted(view)
		},
	}
	file.add(cmd)
	cmd.Flags().StringVar(&how.key, "key", "", "a repeated submit with the same key returns the first one's job")
	cmd.Flags().BoolVar(&how.hold, "hold", false, "the job waits until nexus release")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "submit nothing: show where the job would go, when, and who would be stopped for it")
	p.outputFlag(cmd, "json", "yaml", "name")
	return cmd
}

// submitFlags say how a job is submitted.
type submitFlags struct {
	key  string
	hold bool
	one  bool // an array is refused: it is to be followed
}

// submit reads, captures and hands over. The job is durable when it returns.
func (p *program) submit(ctx context.Context, file fileFlags, how submitFlags) (api.JobView, place, error) {
	job, s, err := p.prepare(file, how)
	if err != nil {
		return api.JobView{}, nil, err
	}
	client, err := p.ensure(ctx)
	if err != nil {
		return api.JobView{}, nil, err
	}
	accepted, err := client.Submit(ctx, s)
	if err != nil {
		return api.JobView{}, nil, err
	}
	if _, cluster, _ := p.cluster(); cluster {
		job.notices = nil // they are about this machine
	}
	for _, n := range job.notices {
		fmt.Fprintln(p.err, "notice: "+clean(n.Message))
	}
	// The submit counts, whether or not the daemon lives to tell more.
	view, err := client.Job(ctx, accepted.ID)
	if err != nil {
		view = api.JobView{Job: accepted}
	}
	return view, client, nil
}

// prepare reads the file and captures what the job inherits.
func (p *program) prepare(file fileFlags, how submitFlags) (readJob, api.Submission, error) {
	job, err := p.readJob(file)
	if err != nil {
		return job, api.Submission{}, err
	}
	if how.one && !job.spec.Array.IsZero() {
		return job, api.Submission{}, &exit{code: exitUsage, err: &nexus.Error{Code: nexus.CodeInvalid,
			Message: "run follows one job, and array makes several", Hint: "nexus submit it, then nexus wait " + job.spec.Name}}
	}
	s, err := p.submission(job)
	s.Key, s.Hold = how.key, how.hold
	return job, s, err
}

func (p *program) submitted(view api.JobView) error {
	if _, cluster, _ := p.cluster(); cluster {
		for _, n := range view.Notices {
			fmt.Fprintln(p.err, "notice: "+clean(n))
		}
	}
	if ok, err := p.document(view); ok {
		return err
	}
	if p.output == "name" {
		id := view.ID
		if view.Member != nil {
			id = view.Member.Array
		}
		_, err := fmt.Fprintln(p.out, id)
		return err
	}
	if m := view.Member; m != nil {
		limit := ""
		if m.AtOnce > 0 {
			limit = fmt.Sprintf(", %d at once", m.AtOnce)
		}
		_, err := fmt.Fprintf(p.out, "submitted %s as array %s: %s%s\n", clean(m.Name), m.Array, count(m.Size, "member"), limit)
		return err
	}
	_, err := fmt.Fprintf(p.out, "submitted %s as %s%s\n", title(view.Job), view.ID, waiting(view))
	return err
}

// waiting tells why a job does not run yet, where that is known.
func waiting(view api.JobView) string {
	if view.Phase != nexus.Pending || view.Reason == nil || view.Sentence == "" {
		return ""
	}
	text := ": it waits: " + clean(view.Sentence)
	when := eta(view.ETA, time.Now())
	if view.Expected != nil {
		when = view.Expected.Sentence(time.Now())
	}
	if when != "" {
		text += " (expected to start " + when + ")"
	}
	return text
}
