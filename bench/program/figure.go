package program

import (
	"cmp"
	"context"
	"time"

	"ainexus.io/bench/machine"
	"ainexus.io/bench/row"
)

// Limit is how long all figures together may take. What is not measured by then is told as such.
const Limit = 11*time.Minute + 30*time.Second

// Figure is one measurement: it owes a row for each of its lines.
type Figure struct {
	Name    string
	Lines   []row.Line
	Measure func(ctx context.Context, b *Bench, report func(row.Row)) error
}

// Run measures the figures that are asked for, on a machine of which conditions tell.
func (b *Bench) Run(ctx context.Context, conditions []machine.Fact, figures []Figure) error {
	return b.Measure(ctx, conditions, func(ctx context.Context) error {
		for _, f := range figures {
			if !b.Only.MatchString(f.Name) {
				continue
			}
			if err := b.Take(ctx, f); err != nil {
				return err
			}
		}
		return nil
	})
}

// Measure is [Bench.Run] for who takes the figures in a way of their own: take has until [Bench.Most] to print their rows.
func (b *Bench) Measure(ctx context.Context, conditions []machine.Fact, take func(context.Context) error) error {
	for _, fact := range conditions {
		b.Say("%v", fact)
	}
	timed, cancel := context.WithTimeout(ctx, cmp.Or(b.Most, Limit))
	defer cancel()
	begin := time.Now()
	if err := take(timed); err != nil {
		return err
	}
	b.Say("%v", machine.Load("load after"))
	b.Say("took: %v", time.Since(begin).Round(time.Second))
	if err := b.Rows.Close(); err != nil {
		return err
	}
	return context.Cause(ctx) // who interrupts it did not let it run to its end
}

// Take measures one figure and prints a row for each of its lines, measured or not.
func (b *Bench) Take(ctx context.Context, f Figure) error {
	b.Say("%s ...", f.Name)
	begin := time.Now()
	err := b.Rows.Owe(ctx, f.Lines, func(report func(row.Row)) error { return f.Measure(ctx, b, report) })
	b.Say("%s took %v", f.Name, time.Since(begin).Round(time.Millisecond))
	return err
}
