package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"ainexus.io/app"
	"ainexus.io/bench/program"
	"ainexus.io/bench/row"
	"ainexus.io/cluster/sim/trace"
)

// baseline is a policy to compare with, and its average completion time on the dev window as PROTOCOL.md has it.
type baseline struct {
	policy  string
	avg     float64 // s
	demands bool    // that ours comes near it
	takes   int     // s of processor time, more or less
}

// baselines are in the order of the published table.
func baselines() []baseline {
	return []baseline{
		{"fifo", 38_101, true, 25}, {"easy", 16_317, true, 15}, {"firstfit", 14_121, false, 15}, {"las2d", 12_350, true, 30},
		{"sjf-oracle", 11_332, false, 15}, {"srtf-oracle", 9_656, true, 70},
	}
}

func (b baseline) line() row.Line {
	l := row.Line{What: "Philly dev window: average completion time of our " + b.policy + ", against the reference", Unit: "s"}
	if b.demands {
		l.Must = row.Near("within 5 %", 0.05*b.avg)
	}
	return l
}

// ourLines are the rows about ours.
type ourLines struct {
	avg, none, wait, coverage, relErr, p99 row.Line
	slicing, once, slicingP99, slicingWait row.Line
}

func linesOfOurs() ourLines {
	const where, sliced = "Philly dev window, ours: ", "Philly dev window, ours with --time-slicing: "
	return ourLines{
		avg:         row.Line{What: where + "average completion time", Unit: "s", Must: row.AtMost("<= 13,500 s", 13_500)},
		none:        row.Line{What: where + "preemptions", Unit: "1", Must: row.AtMost("0", 0)},
		p99:         row.Line{What: where + "completion time, p99", Unit: "s"},
		wait:        row.Line{What: where + "largest wait of any job, against FIFO's", Unit: "s", Must: row.AtMostTimes("<= 2x FIFO's", 2)},
		coverage:    row.Line{What: where + "starts within the 80 % interval that was foretold", Unit: "%", Must: row.Between("70-90 %", 70, 90)},
		relErr:      row.Line{What: where + "median relative error of the foretold start", Unit: "1"},
		slicing:     row.Line{What: sliced + "average completion time", Unit: "s", Must: row.AtMost("<= 10,800 s", 10_800)},
		once:        row.Line{What: sliced + "preemptions per job", Unit: "1", Must: row.AtMost("<= 1 preemption per job", 1)},
		slicingP99:  row.Line{What: sliced + "completion time, p99", Unit: "s"},
		slicingWait: row.Line{What: sliced + "largest wait of any job, against FIFO's", Unit: "s", Must: row.AtMostTimes("<= 2x FIFO's", 2)},
	}
}

func (l ourLines) all() []row.Line {
	return []row.Line{l.avg, l.none, l.p99, l.wait, l.coverage, l.relErr, l.slicing, l.once, l.slicingP99, l.slicingWait}
}

// completion replays the dev window with every policy, as many at a time as there are cores: ours first, then those that
// take long. A policy that cannot be run costs only its own rows.
func completion(traces string) program.Figure {
	lines := linesOfOurs()
	owed := lines.all()
	for _, base := range baselines() {
		owed = append(owed, base.line())
	}
	return program.Figure{Name: "completion", Lines: owed, Measure: func(ctx context.Context, shared *program.Bench, report func(row.Row)) error {
		b := &bench{shared, traces}
		run, err := b.devWindow()
		if err != nil {
			return err
		}
		runs := map[string]*outcome{"ours": {run: run}, "slicing": {run: run}}
		runs["slicing"].run.TimeSlicing = true
		order := []string{"slicing", "ours"}
		for _, base := range slices.SortedStableFunc(slices.Values(baselines()), func(a, b baseline) int { return b.takes - a.takes }) {
			o := &outcome{run: run}
			o.run.Policy = base.policy
			runs[base.policy] = o
			order = append(order, base.policy)
		}
		var work errgroup.Group
		work.SetLimit(runtime.NumCPU())
		for _, name := range order {
			o := runs[name]
			work.Go(func() error {
				begin := time.Now()
				o.result, o.err = o.run.Run(ctx)
				b.Say("%s is through after %v", name, time.Since(begin).Round(time.Second))
				return nil
			})
		}
		_ = work.Wait() // each has its own error
		for _, name := range []string{"ours", "slicing"} {
			if runs[name].err == nil {
				b.tell(name, runs[name].result)
			}
		}
		reportOurs(lines, runs["ours"], runs["slicing"], runs["fifo"], report)
		for _, base := range baselines() {
			o := runs[base.policy]
			if o.err != nil {
				report(base.line().Missing(o.err))
				continue
			}
			report(base.line().Against(o.result.AvgJCT, base.avg))
			b.tell(base.policy, o.result)
		}
		return nil
	}}
}

// tell says all of what a replay came to.
func (b *bench) tell(name string, r app.ReplayResult) {
	b.Say("%s: avg %.0f s, p50 %.0f, p99 %.0f, queue avg %.0f max %.0f, bsld %.2f, util %.1f %%, %d preemptions, %d cycles planned in %v", name,
		r.AvgJCT, r.P50JCT, r.P99JCT, r.AvgQueue, r.MaxQueue, r.AvgBSLD, r.Util, r.Preemptions, r.Cycles, r.Planning.Round(time.Millisecond))
}

// outcome is a replay and what it came to.
type outcome struct {
	run    app.Replay
	result app.ReplayResult
	err    error
}

// devWindow is the replay that PROTOCOL.md describes.
func (b *bench) devWindow() (app.Replay, error) {
	from := time.Date(2017, 10, 9, 0, 0, 0, 0, time.UTC)
	to := from.AddDate(0, 0, 14)
	if b.Quick {
		to = from.AddDate(0, 0, 1)
	}
	jobs, err := read(b, "philly/philly_jobs_before_2017-10-23.csv", func(in io.Reader) ([]trace.Job, trace.Report, error) {
		return trace.Read(trace.Philly, in)
	})
	return app.Replay{
		Jobs: trace.Window(jobs, from, to), From: from, To: to, Nodes: 64, GPUsPerNode: 8, PreemptionCost: time.Minute,
	}, err
}

func reportOurs(l ourLines, ours, slicing, fifo *outcome, report func(row.Row)) {
	if err := ours.err; err != nil {
		for _, line := range []row.Line{l.avg, l.none, l.p99, l.wait, l.coverage, l.relErr} {
			report(line.Missing(err))
		}
	} else {
		r := ours.result
		report(l.avg.Alone(r.AvgJCT))
		report(l.none.Alone(float64(r.Preemptions)))
		report(l.p99.Alone(r.P99JCT))
		reportWait(l.wait, ours, fifo, report)
		if r.Coverage == nil {
			report(l.coverage.Missing(errors.New("no start was foretold with an interval")))
			report(l.relErr.Missing(errors.New("no start was foretold with an interval")))
		} else {
			report(l.coverage.Alone(*r.Coverage))
			report(l.relErr.Alone(*r.RelErr))
		}
	}
	if err := slicing.err; err != nil {
		for _, line := range []row.Line{l.slicing, l.once, l.slicingP99, l.slicingWait} {
			report(line.Missing(err))
		}
		return
	}
	r := slicing.result
	report(l.slicing.Alone(r.AvgJCT))
	report(l.once.Alone(float64(r.Preemptions) / float64(r.Jobs)))
	report(l.slicingP99.Alone(r.P99JCT))
	reportWait(l.slicingWait, slicing, fifo, report)
}

func reportWait(l row.Line, ours, fifo *outcome, report func(row.Row)) {
	if fifo.err != nil {
		report(l.Missing(fmt.Errorf("fifo did not run: %w", fifo.err)))
		return
	}
	report(l.Against(ours.result.MaxQueue, fifo.result.MaxQueue))
}
