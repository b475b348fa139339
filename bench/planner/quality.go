package main

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"ainexus.io/app"
	"ainexus.io/bench/program"
	"ainexus.io/bench/row"
	"ainexus.io/cluster/sim/trace"
)

// The published runs have these seeds.
const firstSeed, seeds = 42, 10

// lists are the public lists of pods.
func lists() []string {
	return []string{"default", "cpu100", "cpu250", "gpushare40", "gpushare100", "multigpu20", "multigpu50", "gpuspec10", "gpuspec33"}
}

// demanded is what must be handed out of the GPUs at 100 %, where the issue says so.
func demanded(list string) (float64, bool) {
	must, ok := map[string]float64{"default": 95.4, "cpu250": 94.7, "gpushare100": 87.0, "gpuspec33": 94.3}[list]
	return must, ok
}

// listLines are the rows of one list.
type listLines struct{ must, known, known130, learned, learned130 row.Line }

func linesOf(list string) listLines {
	l := listLines{
		known:      row.Line{What: list + ": GPUs handed out at 100 %, known mix, against published FGD", Unit: "%", Must: row.AtLeastLess("nowhere > 0.1 below", 0.1)},
		known130:   row.Line{What: list + ": GPUs handed out at 130 %, known mix, against published FGD", Unit: "%", Must: row.More()},
		learned:    row.Line{What: list + ": GPUs handed out at 100 %, learned mix, against the known", Unit: "%", Must: row.AtLeastLess("within 0.4 of known", 0.4)},
		learned130: row.Line{What: list + ": GPUs handed out at 130 %, learned mix, against the known", Unit: "%", Must: row.More()},
	}
	if must, ok := demanded(list); ok {
		l.must = row.Line{What: list + ": GPUs handed out at 100 %, known mix", Unit: "%", Must: row.AtLeast(fmt.Sprintf(">= %.1f", must), must)}
	}
	return l
}

func (l listLines) all() []row.Line {
	list := []row.Line{l.known, l.known130, l.learned, l.learned130}
	if l.must.What != "" {
		list = append([]row.Line{l.must}, list...)
	}
	return list
}

// quality is how much of the GPUs is handed out, mean of the published seeds, through the engine and the simulator.
func quality(traces string) program.Figure {
	fidelity := map[string]row.Line{}
	var lines []row.Line
	for _, name := range []string{"fgd", "bestfit"} {
		fidelity[name] = row.Line{What: "default: GPUs handed out at 100 % by our " + name + ", against as published", Unit: "%", Must: row.Near("within 0.3", 0.3)}
		lines = append(lines, fidelity[name])
	}
	for _, list := range lists() {
		lines = append(lines, linesOf(list).all()...)
	}
	queue := row.Line{What: "default: GPUs handed out at 130 %, known mix, with --queue --moves 50", Unit: "%", Must: row.AtLeast(">= 96.5", 96.5)}
	moves := row.Line{What: "default: pods moved in those runs, per 1,000 that arrived", Unit: "1/1000", Must: row.AtMost("<= 50", 50)}
	lines = append(lines, queue, moves)
	return program.Figure{Name: "quality", Lines: lines, Measure: func(ctx context.Context, shared *program.Bench, report func(row.Row)) error {
		b := &bench{shared, traces}
		published, err := read(b, "openb/fgd_official_alloc_by_arrival.csv", readPublished)
		if err != nil {
			return err
		}
		for _, name := range []string{"fgd", "bestfit"} {
			m, err := b.mean(ctx, "default", app.Fragmentation{Simulation: app.Simulation{Policy: name}, Known: true})
			if err != nil {
				return err
			}
			report(fidelity[name].Against(m.at100, b.publishedMean(published, "default", name, 100)))
		}
		for _, list := range lists() {
			l := linesOf(list)
			known, err := b.mean(ctx, list, app.Fragmentation{Known: true})
			if err != nil {
				return err
			}
			learned, err := b.mean(ctx, list, app.Fragmentation{})
			if err != nil {
				return err
			}
			if l.must.What != "" {
				report(l.must.Alone(known.at100))
			}
			report(l.known.Against(known.at100, b.publishedMean(published, list, "fgd", 100)))
			report(l.known130.Against(known.at130, b.publishedMean(published, list, "fgd", 130)))
			report(l.learned.Against(learned.at100, known.at100))
			report(l.learned130.Against(learned.at130, known.at130))
		}
		m, err := b.mean(ctx, "default", app.Fragmentation{Known: true, Queue: true, Moves: 50})
		if err != nil {
			return err
		}
		report(queue.Alone(m.at130))
		if m.moves == 0 {
			report(moves.Missing(fmt.Errorf("no pod was moved")))
			return nil
		}
		report(moves.Alone(m.moves))
		return nil
	}}
}

// means are those of some seeds.
type means struct{ at100, at130, moves float64 }

// mean runs a list of pods with each seed, as many at a time as there are cores.
func (b *bench) mean(ctx context.Context, list string, f app.Fragmentation) (means, error) {
	base, err := b.openb(list, 0)
	if err != nil {
		return means{}, err
	}
	f.Nodes, f.Pods = base.Nodes, base.Pods
	var sum means
	var mu sync.Mutex
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(runtime.NumCPU())
	n := b.Times(seeds)
	for i := range n {
		run := f
		run.Seed = int64(firstSeed + i)
		work.Go(func() error {
			r, err := run.Run(ctx)
			if err != nil {
				return fmt.Errorf("%s, seed %d: %w", list, run.Seed, err)
			}
			mu.Lock()
			defer mu.Unlock()
			sum.at100, sum.at130, sum.moves = sum.at100+r.At100, sum.at130+r.At130, sum.moves+r.MovesPer1000
			return nil
		})
	}
	err = work.Wait()
	return means{sum.at100 / float64(n), sum.at130 / float64(n), sum.moves / float64(n)}, err
}

// published is one run of the published simulator: what of the GPUs was handed out at each per cent of demand.
type published struct {
	list, policy string
	seed         int
	at           map[int]float64
}

// publishedMean is the mean over the seeds that are run here.
func (b *bench) publishedMean(runs []published, list, policy string, per int) float64 {
	sum, n := 0.0, 0
	for _, r := range runs {
		if r.list == list && r.policy == policy && r.seed >= firstSeed && r.seed < firstSeed+b.Times(seeds) {
			sum += r.at[per]
			n++
		}
	}
	return sum / float64(n)
}

// readPublished reads the published table.
func readPublished(in io.Reader) ([]published, trace.Report, error) {
	table, err := csv.NewReader(in).ReadAll()
	if err != nil || len(table) == 0 {
		return nil, trace.Report{}, fmt.Errorf("the table of published runs: %w", err)
	}
	heading := table[0]
	column := func(name string) int { return slices.Index(heading, name) }
	list, policy, seed := column("workload"), column("sc_policy"), column("seed")
	if list < 0 || policy < 0 || seed < 0 || column("100") < 0 || column("130") < 0 {
		return nil, trace.Report{}, fmt.Errorf("the table of published runs has the columns %v", heading)
	}
	var runs []published
	for _, cells := range table[1:] {
		_, name, _ := strings.Cut(cells[policy], "-") // 06-FGD
		r := published{list: strings.TrimPrefix(cells[list], "openb_pod_list_"), policy: strings.ToLower(name), at: map[int]float64{}}
		if r.seed, err = strconv.Atoi(cells[seed]); err != nil {
			return nil, trace.Report{}, err
		}
		for _, per := range []int{100, 130} {
			if r.at[per], err = strconv.ParseFloat(cells[column(strconv.Itoa(per))], 64); err != nil {
				return nil, trace.Report{}, err
			}
		}
		runs = append(runs, r)
	}
	return runs, trace.Report{}, nil
}
