package main

import (
	"context"
	"fmt"

	"ainexus.io/bench/program"
	"ainexus.io/bench/row"
)

// plan says how often a size is reduced: rounds in which each side does so many iterations.
type plan struct{ bytes, rounds, iterations int }

const kib, mib = 1 << 10, 1 << 20

// small is the size up to which messages count as small.
const small = 64 * kib

// plans holds the sizes of the table. Each side has at least 30 iterations of each.
func plans() []plan {
	return []plan{
		{4, 12, 40}, {1 * kib, 12, 40}, {16 * kib, 12, 30}, {64 * kib, 12, 20},
		{1 * mib, 12, 6}, {4 * mib, 10, 4}, {16 * mib, 8, 4}, {64 * mib, 10, 3},
	}
}

func (p plan) size() string {
	switch {
	case p.bytes >= mib:
		return fmt.Sprintf("%d MiB", p.bytes/mib)
	case p.bytes >= kib:
		return fmt.Sprintf("%d KiB", p.bytes/kib)
	}
	return fmt.Sprintf("%d B", p.bytes)
}

// line is the row of one size against one peer. Demands are on gloo; MPI is the goal.
func (p plan) line(world int, s side) row.Line {
	l := row.Line{What: fmt.Sprintf("all-reduce of %s of float32, %d processes, against %s", p.size(), world, s.name), Unit: "ms"}
	switch {
	case s.demand && p.bytes <= small:
		l.Must = row.AtMostTimes(">= 2x faster", 1/2.0)
	case s.demand:
		l.Must = row.AtMostTimes(">= 1.3x gloo", 1/1.3)
	}
	return l
}

func lines(world int) []row.Line {
	var list []row.Line
	for _, p := range plans() {
		for _, s := range peers() {
			list = append(list, p.line(world, s))
		}
	}
	return list
}

// compare lets all sides live all the time and work in turns. Who waits, sleeps in a read.
func compare(ctx context.Context, b *program.Bench, world int, report func(row.Row)) error {
	ours, err := start(ctx, b, us(), world)
	if err != nil {
		return fmt.Errorf("starting our ranks: %w", err)
	}
	defer ours.stop()
	sides, missing := []*ranks{ours}, make(map[string]error)
	for _, s := range peers() {
		r, err := start(ctx, b, s, world)
		if err != nil {
			b.Say("%s: %v", s.name, err)
			missing[s.name] = err
			continue
		}
		defer r.stop()
		sides = append(sides, r)
	}
	for _, p := range plans() {
		times, err := turns(b, p, sides)
		if err != nil {
			return fmt.Errorf("%s: %w", p.size(), err)
		}
		for _, s := range peers() {
			line := p.line(world, s)
			if err := missing[s.name]; err != nil {
				report(line.Missing(err))
				continue
			}
			report(line.Against(row.Median(times["ours"]), row.Median(times[s.name])))
		}
		for _, r := range sides {
			t := times[r.side.name]
			b.Say("%d processes, %s: %s: %d samples, median %.4f, p95 %.4f ms", world, p.size(), r.side.name, len(t), row.Median(t), row.Percentile(t, 95))
		}
	}
	return nil
}

// turns has each side reduce in each round, beginning with another one each time, so that none always runs in the
// same one's wake.
func turns(b *program.Bench, p plan, sides []*ranks) (map[string][]float64, error) {
	times := make(map[string][]float64)
	for round := range b.Times(p.rounds) {
		for i := range sides {
			r := sides[(i+round)%len(sides)]
			t, err := r.reduce(p.bytes, p.iterations)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", r.side.name, err)
			}
			times[r.side.name] = append(times[r.side.name], t...)
		}
	}
	return times, nil
}
