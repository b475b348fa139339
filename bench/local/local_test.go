package main

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"ainexus.io/bench/row"
)

func TestEverySizeIsReducedOftenEnough(t *testing.T) {
	for _, p := range plans() {
		if n := p.rounds * p.iterations; n < 30 {
			t.Errorf("%d bytes are reduced only %d times by each side", p.bytes, n)
		}
		if p.bytes%4 != 0 {
			t.Errorf("%d bytes are no whole number of float32", p.bytes)
		}
	}
}

func TestEveryLineHasItsOwnName(t *testing.T) {
	seen := make(map[string]bool)
	for _, f := range figures() {
		for _, line := range f.lines {
			if seen[line.What] {
				t.Errorf("two lines are called %q", line.What)
			}
			seen[line.What] = true
		}
	}
}

func TestALineThatCannotBeMeasuredIsPrintedWithTheReason(t *testing.T) {
	first, second := row.Line{What: "first", Unit: "ms"}, row.Line{What: "second", Unit: "ms", Must: row.AtMost("<= 1", 1)}
	for _, c := range []struct {
		story string
		err   error
		want  string
	}{
		{"the figure fails half way", errors.New("there is no torch"), "there is no torch"},
		{"the figure forgets a line", nil, "the benchmark passed over this line"},
	} {
		var out strings.Builder
		b := &bench{log: io.Discard}
		f := figure{name: "half", lines: []row.Line{first, second}, measure: func(_ context.Context, _ *bench, report func(row.Row)) error {
			report(first.Alone(1))
			return c.err
		}}
		if err := b.take(t.Context(), f, row.NewPrinter(&out, true)); err != nil {
			t.Fatal(err)
		}
		want := `{"what":"first","ours":1,"theirs":null,"unit":"ms","ratio":null,"must":null,"ok":true}
{"what":"second","ours":null,"theirs":null,"unit":"ms","ratio":null,"must":"<= 1","ok":false,"why":"` + c.want + `"}
`
		if out.String() != want {
			t.Errorf("%s: printed\n%swant\n%s", c.story, out.String(), want)
		}
	}
}
