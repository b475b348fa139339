package cli

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"ainexus.io/nexus"
)

func (p *program) whyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "why JOB", Short: "Say why a job waits, what would start it, and when it will",
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := p.connect(cmd.Context())
			if err != nil {
				return err
			}
			why, err := client.Why(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if ok, err := p.document(why); ok {
				return err
			}
			if err := p.printWhy(why); err != nil || why.Phase != nexus.Failed {
				return err
			}
			return p.printCause(cmd.Context(), client, why.Job)
		},
	}
	p.outputFlag(cmd, "json", "yaml")
	return p.oneJob(cmd)
}

// asOf says how old the place in line and the date are, and that they are too old where the latest of what they foresaw has passed.
func asOf(why nexus.Why, now time.Time) string {
	text := fmt.Sprintf("as of %s, %s ago", why.AsOf.Local().Format(time.DateTime), span(now.Sub(why.AsOf)))
	last := why.Start
	if why.Expected != nil && (last.IsZero() || why.Expected.High.Before(last)) {
		last = why.Expected.High
	}
	if !last.IsZero() && now.Sub(last) > stale {
		text += ": that is out of date; perhaps no controller runs"
	}
	return text
}

// stale is for how long a start may be overdue before what was foreseen is out of date: a controller that runs tells it anew.
const stale = 10 * time.Minute

func (p *program) printWhy(why nexus.Why) error {
	sentence := why.Sentence
	if sentence == "" {
		sentence = "it is " + string(why.Phase)
	}
	fmt.Fprintln(p.out, clean(sentence))
	if why.Position > 0 {
		fmt.Fprintf(p.out, "position in line: %d\n", why.Position)
	}
	switch {
	case why.Expected != nil:
		fmt.Fprintf(p.out, "expected to start: %s\n", why.Expected.Sentence(time.Now()))
	case !why.Start.IsZero():
		fmt.Fprintf(p.out, "expected to start: %s\n", eta(why.Start, time.Now()))
	case why.Phase == nexus.Pending:
		fmt.Fprintln(p.out, "expected to start: that cannot be known: "+why.Unknown())
	}
	if !why.AsOf.IsZero() && why.Phase == nexus.Pending {
		fmt.Fprintln(p.out, asOf(why, time.Now()))
	}
	for _, note := range why.Notes {
		fmt.Fprintln(p.out, clean(note))
	}
	if why.Fix != nil {
		fmt.Fprintf(p.out, "what would help: %s\n", clean(why.Fix.Sentence))
		for _, key := range slices.Sorted(maps.Keys(why.Fix.Set)) {
			fmt.Fprintf(p.out, "  --set %s=%s\n", clean(key), clean(why.Fix.Set[key]))
		}
	}
	return nil
}
