package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ainexus.io/api"
	"ainexus.io/nexus"
)

func (p *program) psCommand() *cobra.Command {
	var f api.Filter
	var all, watch, single bool
	var phases []string
	cmd := &cobra.Command{
		Use: "ps [NAME]", Aliases: []string{"jobs"}, Short: "List jobs: those that wait or run, or all with -a",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				f.Name, all = args[0], true
			}
			for _, text := range phases {
				phase, ok := phaseOf(text)
				if !ok {
					return usage(cmd, "%q is no state: Pending, Starting, Running, Stopping, Succeeded, Failed or Cancelled", text)
				}
				f.Phases, all = append(f.Phases, phase), true
			}
			f.Live = !all
			client, err := p.connect(cmd.Context())
			if err != nil {
				return err
			}
			if watch {
				return p.watchJobs(cmd.Context(), client, f, single)
			}
			return p.listJobs(cmd.Context(), client, f, single)
		},
	}
	cmd.Flags().BoolVarP(&all, "all", "a", false, "also jobs that are over")
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "go on, and print again whenever something changes")
	cmd.Flags().BoolVar(&single, "members", false, "a line for each member of an array")
	cmd.Flags().StringVarP(&f.Queue, "queue", "q", "", "only jobs of this queue")
	cmd.Flags().StringVarP(&f.User, "user", "u", "", "only jobs of this user")
	cmd.Flags().StringSliceVar(&phases, "phase", nil, "only jobs in this state; can be repeated")
	cmd.Flags().IntVarP(&f.Limit, "limit", "n", 200, "at most so many jobs, newest first; 0: all")
	p.outputFlag(cmd, "json", "yaml", "wide", "name")
	return cmd
}

func phaseOf(text string) (nexus.Phase, bool) {
	for _, phase := range []nexus.Phase{nexus.Pending, nexus.Starting, nexus.Running, nexus.Stopping, nexus.Succeeded, nexus.Failed, nexus.Cancelled} {
		if strings.EqualFold(text, string(phase)) {
			return phase, true
		}
	}
	return "", false
}

// listJobs prints one list. Live jobs are all of them: their number is what a person needs to see.
func (p *program) listJobs(ctx context.Context, client place, f api.Filter, single bool) error {
	jobs, err := everyJob(ctx, client, f)
	if err != nil {
		return err
	}
	return p.printJobs(jobs, f, single)
}

// everyJob goes through the pages.
func everyJob(ctx context.Context, client place, f api.Filter) ([]api.JobView, error) {
	const page = 1000
	want := f.Limit
	if f.Live {
		want = 0
	}
	var all []api.JobView
	for {
		f.Limit = page
		if want > 0 {
			f.Limit = min(page, want-len(all))
		}
		jobs, err := client.List(ctx, f)
		if err != nil {
			return nil, err
		}
		all = append(all, jobs...)
		if len(jobs) < f.Limit || len(all) == want {
			return all, nil
		}
		f.Before = jobs[len(jobs)-1].ID
	}
}

func (p *program) printJobs(jobs []api.JobView, f api.Filter, single bool) error {
	if jobs == nil {
		jobs = []api.JobView{}
	}
	if ok, err := p.document(api.JobList{Jobs: jobs}); ok {
		return err
	}
	if p.output == "name" {
		for _, j := range jobs {
			fmt.Fprintln(p.out, j.ID)
		}
		return nil
	}
	heading := []string{"NAME", "TYPE", "PRI", "STATE", "GPU", "MEM", "REASON", "ETA"}
	wide := p.output == "wide"
	if wide {
		heading = append(heading, "ID", "USER", "QUEUE", "ATTEMPT", "RESTARTS", "PROGRESS")
	}
	lines := compact(jobs)
	if single {
		lines = each(jobs)
	}
	rows := make([][]string, len(lines))
	for i, line := range lines {
		j := line.JobView
		rows[i] = []string{line.title, string(j.Spec.Type), j.Spec.Priority.String(), string(j.Phase),
			gpusOf(j.Job), memoryOf(j.Job), reasonOf(j), etaOf(j, time.Now())}
		if wide {
			rows[i] = append(rows[i], line.id, j.User, j.Spec.Queue, strconv.Itoa(j.Attempt),
				fmt.Sprintf("%d/%d", j.RestartsUsed, j.Spec.Restart.Max), progressOf(j))
		}
	}
	if err := table(p.out, heading, rows); err != nil {
		return err
	}
	if len(jobs) == 0 && f.Live {
		fmt.Fprintln(p.err, "no job waits or runs; nexus ps -a lists those that are over")
	}
	return nil
}

// watchJobs prints the list whenever something happened, and every two seconds on a terminal, where it stays in place.
func (p *program) watchJobs(ctx context.Context, client place, f api.Filter, single bool) error {
	ctx, stop := interruptible(ctx)
	defer stop()
	events, err := client.Events(ctx, api.FromNow)
	if err != nil {
		return err
	}
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for {
		if p.terminal && p.output == "" || p.terminal && p.output == "wide" {
			fmt.Fprint(p.out, "\x1b[H\x1b[2J")
		}
		if err := p.listJobs(ctx, client, f, single); err != nil {
			return quiet(ctx, err)
		}
		for again := false; !again; {
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
				again = p.terminal
			case _, open := <-events:
				if !open && ctx.Err() == nil {
					return &nexus.Error{Code: nexus.CodeUnavailable, Message: p.away() + " went away", Hint: "begin again; nexus up starts a daemon"}
				}
				again = true
			}
		}
	}
}

// quiet drops an error that is only the user's wish to end.
func quiet(ctx context.Context, err error) error {
	if ctx.Err() != nil || errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// gpusOf is how many whole GPUs the job holds, or asks for; "share" for a part of one.
func gpusOf(j nexus.Job) string {
	if j.Placement != nil {
		n, shared := 0, false
		for _, seat := range j.Placement.Seats {
			n, shared = n+len(seat.GPUs), shared || seat.Share > 0
		}
		if shared {
			return "share"
		}
		return strconv.Itoa(n)
	}
	r := j.Spec.Resources
	switch {
	case r.GPUs.Auto:
		return "auto"
	case r.Share():
		return "share"
	case j.Spec.Nodes.Max > 1:
		return fmt.Sprintf("%sx%d", j.Spec.Nodes, r.GPUs.N)
	}
	return strconv.Itoa(r.GPUs.N)
}

// memoryOf is the GPU memory that the job asks for, of each GPU.
func memoryOf(j nexus.Job) string {
	asks := j.Asks().Spec.Resources.GPUMemory
	if asks == 0 {
		return ""
	}
	return asks.String()
}

// reasonOf is why a job is where it is, where there is something to say.
func reasonOf(j api.JobView) string {
	text := standing(j)
	if j.Growth == nil || j.Phase.Over() {
		return text
	}
	if text == "" {
		return j.Growth.Sentence()
	}
	return text + "; " + j.Growth.Sentence()
}

func standing(j api.JobView) string {
	switch {
	case j.Phase == nexus.Pending:
		if j.Sentence == "" && j.Reason != nil {
			return string(j.Reason.Code)
		}
		return j.Sentence
	case j.Phase == nexus.Stopping:
		return string(j.Stop)
	case j.Phase.Live() && j.Status != nil && j.Status.State != nexus.AgentRunning:
		return string(j.Status.State)
	case j.Result != nil && (j.Phase == nexus.Failed || j.Result.Cause == nexus.CauseAfter && j.Phase == nexus.Cancelled):
		return j.Result.Message
	}
	return ""
}

// etaOf is when a job that waits is expected to start: the earliest and the latest in eighty of a hundred cases.
func etaOf(j api.JobView, now time.Time) string {
	if j.Expected == nil {
		return eta(j.ETA, now)
	}
	return j.Expected.Range(now)
}

// progressOf is how far the slowest rank is.
func progressOf(j api.JobView) string {
	if !j.Phase.Live() {
		return ""
	}
	if len(j.Progress) == 0 {
		return "progress unknown"
	}
	slowest := j.Progress[0]
	for _, rank := range j.Progress {
		if rank.Step < slowest.Step {
			slowest = rank
		}
	}
	text := "step " + strconv.FormatInt(slowest.Step, 10)
	if slowest.TotalSteps > 0 {
		text += "/" + strconv.FormatInt(slowest.TotalSteps, 10)
	}
	if j.Status != nil {
		for _, s := range j.Status.Suspects {
			text += fmt.Sprintf(", rank %d suspect", s.Rank)
		}
	}
	return text
}
