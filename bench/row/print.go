package row

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"text/tabwriter"
)

// Printer writes rows to w, which gets nothing else.
type Printer struct {
	w    io.Writer
	json bool
	rows []Row
}

// NewPrinter returns a printer of one JSON object per line, or of a table that [Printer.Close] writes.
func NewPrinter(w io.Writer, json bool) *Printer { return &Printer{w: w, json: json} }

// Print takes the next row.
func (p *Printer) Print(r Row) error {
	if !p.json {
		p.rows = append(p.rows, r)
		return nil
	}
	e := json.NewEncoder(p.w)
	e.SetEscapeHTML(false) // a row is read by people too, and "must" holds <= and >=
	return e.Encode(r)
}

// Owe has lines measured and prints a row for each: as it is reported, or with the reason why it was not.
func (p *Printer) Owe(ctx context.Context, lines []Line, measure func(report func(Row)) error) error {
	var told []string
	var printing error
	report := func(r Row) {
		told = append(told, r.What)
		printing = errors.Join(printing, p.Print(r))
	}
	err := measure(report)
	if cause := context.Cause(ctx); cause != nil {
		err = errors.Join(fmt.Errorf("stopped: %w", cause), err)
	}
	if err == nil {
		err = errors.New("the benchmark passed over this line")
	}
	for _, line := range lines {
		if !slices.Contains(told, line.What) {
			report(line.Missing(err))
		}
	}
	return printing
}

// Close writes the table, if it is to be one.
func (p *Printer) Close() error {
	if p.json {
		return nil
	}
	t := tabwriter.NewWriter(p.w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "WHAT\tOURS\tTHEIRS\tUNIT\tRATIO\tMUST\tOK")
	for _, r := range p.rows {
		fmt.Fprintln(t, r)
	}
	return t.Flush()
}

// String is the row with tabs between its columns.
func (r Row) String() string {
	must, ok := "-", "yes"
	if r.Must != nil {
		must = *r.Must
	}
	if !r.OK {
		ok = "NO"
	}
	if r.Why != "" {
		ok += ": " + r.Why
	}
	return fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%s\t%s", r.What, short(r.Ours), short(r.Theirs), r.Unit, short(r.Ratio), must, ok)
}

// short shows three or more significant digits and no exponent.
func short(x *float64) string {
	switch {
	case x == nil:
		return "-"
	case *x == math.Trunc(*x) || math.Abs(*x) >= 100:
		return strconv.FormatFloat(*x, 'f', 0, 64)
	case math.Abs(*x) >= 10:
		return strconv.FormatFloat(*x, 'f', 1, 64)
	case math.Abs(*x) >= 1:
		return strconv.FormatFloat(*x, 'f', 2, 64)
	}
	return strconv.FormatFloat(*x, 'f', 3, 64)
}
