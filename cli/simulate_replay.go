package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ainexus.io/app"
	"ainexus.io/cluster/sim/trace"
	"ainexus.io/nexus"
	"ainexus.io/sched"
)

// replayFlags are what `simulate replay` was called with.
type replayFlags struct {
	run         app.Replay
	policies    []string
	trace       string
	format      string
	from, to    string
	cost, every string
	memory      string
	synthetic   bool
	rate        float64
	mix, length string
	queues      string
	plot        string
	asJSON      bool
}

func (p *program) replayCommand() *cobra.Command {
	var f replayFlags
	cmd := &cobra.Command{
		Use: "replay --trace JOBS.csv --nodes N --gpus-per-node G", Short: "Let recorded jobs come and run as they did, and say how long they took",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.replay(cmd, &f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.trace, "trace", "", "recorded jobs (- is standard input)")
	flags.StringVar(&f.format, "format", string(trace.Auto), "how they are recorded: auto, philly, csv, sacct")
	flags.StringVar(&f.from, "from", "", "leave out jobs submitted before: 2017-10-09 or 2017-10-09T12:00:00 (UTC)")
	flags.StringVar(&f.to, "to", "", "leave out jobs submitted at or after")
	flags.IntVar(&f.run.Nodes, "nodes", 0, "how many machines")
	flags.IntVar(&f.run.GPUsPerNode, "gpus-per-node", 8, "GPUs of each machine")
	flags.IntVar(&f.run.CPUsPerNode, "cpus-per-node", 0, "logical CPUs of each machine; 0: processors do not count")
	flags.StringVar(&f.memory, "memory-per-node", "", "memory of each machine, such as 512GiB; without it memory does not count")
	flags.StringArrayVar(&f.policies, "policy", nil, "policy; nexus simulate policies lists them; can be repeated (default: ours)")
	flags.BoolVar(&f.run.TimeSlicing, "time-slicing", false, "let equals be evicted, as a queue with time_slicing does")
	flags.StringVar(&f.cost, "preemption-cost", "60s", "how much longer a job takes for each interruption")
	flags.StringVar(&f.every, "checkpoint-every", "", "how often jobs save by themselves, such as 30m; without it a job whose node is lost begins again")
	flags.Float64Var(&f.run.Failures, "failures", 0, "how often each machine is lost, per day on average")
	flags.Int64Var(&f.run.Seed, "seed", 42, "decides what is random: made-up jobs, failures")
	flags.BoolVar(&f.synthetic, "synthetic", false, "make jobs up, instead of --trace")
	flags.Float64Var(&f.rate, "rate", 60, "with --synthetic: jobs per hour")
	flags.StringVar(&f.mix, "mix", "", "with --synthetic: GPUs and how often they are asked for (default 1:70,2:8,4:10,8:9,16:3)")
	flags.StringVar(&f.length, "for", "1d", "with --synthetic: how long jobs keep coming")
	flags.StringVar(&f.queues, "queues", "", "queues with quota, order and time slicing, as nexus queues apply takes them; those that jobs name beside them have no limits")
	flags.StringVar(&f.plot, "plot", "", "draw utilisation, queue and completion times into this .svg or .png, all runs on one picture")
	flags.BoolVar(&f.asJSON, "json", false, "print one JSON object")
	completePolicies(cmd)
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"auto", "philly", "csv", "sacct"}, cobra.ShellCompDirectiveNoFileComp)) // only fails if the flag is not there
	return cmd
}

func (p *program) replay(cmd *cobra.Command, f *replayFlags) (err error) {
	if err := f.check(cmd); err != nil {
		return err
	}
	if f.queues != "" {
		if f.run.Queues, err = p.replayQueues(f.queues); err != nil {
			return err
		}
	}
	if f.run.Jobs, err = p.replayJobs(f); err != nil {
		return err
	}
	if len(f.policies) == 0 {
		f.policies = []string{""}
	}
	var results []app.ReplayResult
	for _, policy := range f.policies {
		run := f.run
		run.Policy = policy
		result, err := p.replayOne(cmd.Context(), run)
		if err != nil {
			return err
		}
		results = append(results, result)
	}
	if f.plot != "" {
		if err := drawReplays(f.plot, f.run, results); err != nil {
			return err
		}
	}
	if f.asJSON {
		return p.printJSON(results[0])
	}
	return p.printReplays(results)
}

// replayQueues reads queues and judges them together.
func (p *program) replayQueues(path string) ([]nexus.Queue, error) {
	queues, _, err := p.readQueues(path)
	if err != nil {
		return nil, err
	}
	if _, errs := sched.CheckQueues(queues); len(errs) > 0 {
		return nil, errs
	}
	return queues, nil
}

func (p *program) replayOne(ctx context.Context, run app.Replay) (app.ReplayResult, error) {
	progress, end := p.bar(strings.TrimSpace("replaying " + run.Policy))
	defer end()
	run.Progress = progress
	result, err := run.Run(ctx)
	if err == nil && result.Unfit > 0 {
		end()
		fmt.Fprintf(p.err, "note: %d jobs left out that no machine could run; %s\n", result.Unfit, clean(result.FirstUnfit))
	}
	return result, err
}

// check reads the flags that are words.
func (f *replayFlags) check(cmd *cobra.Command) (err error) {
	formats := trace.Formats()
	switch {
	case f.synthetic == (f.trace != ""):
		return usage(cmd, "it takes either --trace or --synthetic")
	case !slices.Contains(formats, trace.Format(f.format)):
		return usage(cmd, "%q is no format: one of %s", f.format, strings.Trim(fmt.Sprint(formats), "[]"))
	case f.run.Nodes < 1 || f.run.Nodes > 100_000:
		return usage(cmd, "--nodes is how many machines there are, from 1")
	case f.run.GPUsPerNode < 1 || f.run.GPUsPerNode > 64:
		return usage(cmd, "--gpus-per-node is a number from 1 to 64")
	case f.run.CPUsPerNode < 0 || f.run.CPUsPerNode > 1<<20:
		return usage(cmd, "--cpus-per-node is a number of logical CPUs")
	case !(f.run.Failures >= 0 && f.run.Failures <= 100):
		return usage(cmd, "--failures is how often a day a machine is lost, from 0 to 100")
	case len(f.policies) > 1 && f.asJSON:
		return usage(cmd, "--json prints one run: name one --policy")
	}
	if f.run.From, err = date(cmd, "from", f.from); err != nil {
		return err
	}
	if f.run.To, err = date(cmd, "to", f.to); err != nil {
		return err
	}
	if !f.run.From.IsZero() && !f.run.To.IsZero() && !f.run.From.Before(f.run.To) {
		return usage(cmd, "--from is not before --to")
	}
	cost, err := nexus.ParseDuration(f.cost)
	if err != nil {
		return usage(cmd, "--preemption-cost: %s", err)
	}
	f.run.PreemptionCost = time.Duration(cost)
	if f.every != "" {
		every, err := nexus.ParseDuration(f.every)
		if err != nil {
			return usage(cmd, "--checkpoint-every: %s", err)
		}
		f.run.CheckpointEvery = time.Duration(every)
	}
	if f.plot != "" { // before the run, which may be long
		if _, err := plotWriter(f.plot); err != nil {
			return err
		}
	}
	if f.memory != "" {
		if f.run.MemoryPerNode, err = nexus.ParseMiB(f.memory); err != nil {
			return usage(cmd, "--memory-per-node: %s", err)
		}
	}
	return nil
}

// date reads a day or an instant.
func date(cmd *cobra.Command, flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.DateOnly, time.DateTime, "2006-01-02T15:04:05", time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, usage(cmd, "--%s: %q is no date such as 2017-10-09 or 2017-10-09T12:00:00", flag, text)
}

// replayJobs reads the jobs or makes them up, and cuts the window out.
func (p *program) replayJobs(f *replayFlags) (jobs []trace.Job, err error) {
	if f.synthetic {
		return f.made()
	}
	jobs, err = readTrace(p, f.trace, "trace", func(in io.Reader) ([]trace.Job, trace.Report, error) {
		return trace.Read(trace.Format(f.format), in)
	})
	if err != nil {
		return nil, err
	}
	first, last := jobs[0].Submit, jobs[len(jobs)-1].Submit
	if jobs = trace.Window(jobs, f.run.From, f.run.To); len(jobs) == 0 {
		return nil, &nexus.Error{Code: nexus.CodeInvalid, Message: "no job of the trace was submitted in that time",
			Hint: fmt.Sprintf("it goes from %s to %s", first.Format(time.DateTime), last.Format(time.DateTime))}
	}
	return jobs, nil
}

// made makes jobs up.
func (f *replayFlags) made() (jobs []trace.Job, err error) {
	load := trace.Load{Rate: f.rate, Seed: f.run.Seed, Start: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	if !f.run.From.IsZero() {
		load.Start = f.run.From
	}
	if f.mix != "" {
		if load.Mix, err = trace.ParseMix(f.mix); err != nil {
			return nil, err
		}
	}
	length, err := nexus.ParseDuration(f.length)
	if err != nil {
		return nil, &nexus.Error{Code: nexus.CodeInvalid, Message: "--for: " + err.Error(), Hint: "how long jobs keep coming, such as 1d"}
	}
	load.For = time.Duration(length)
	return load.Jobs()
}

func (p *program) printReplays(results []app.ReplayResult) error {
	heading := []string{"POLICY", "JOBS", "AVG JCT", "P50", "P99", "AVG QUEUE", "P99", "MAX", "UTIL", "AVG BSLD", "PREEMPTIONS", "LOST", "ETA IN 80 %", "ETA OFF BY"}
	var rows [][]string
	for _, r := range results {
		coverage, off := "", ""
		if r.Coverage != nil {
			coverage, off = fmt.Sprintf("%.1f %%", *r.Coverage), fmt.Sprintf("%.0f %%", *r.RelErr*100)
		}
		rows = append(rows, []string{
			r.Policy, fmt.Sprint(r.Jobs), whole(r.AvgJCT), whole(r.P50JCT), whole(r.P99JCT), whole(r.AvgQueue), whole(r.P99Queue), whole(r.MaxQueue),
			fmt.Sprintf("%.1f %%", r.Util), fmt.Sprintf("%.2f", r.AvgBSLD), fmt.Sprint(r.Preemptions), fmt.Sprint(r.Losses), coverage, off,
		})
	}
	return table(p.out, heading, rows)
}

// whole writes seconds for people.
func whole(seconds float64) string { return fmt.Sprintf("%.0f s", seconds) }
