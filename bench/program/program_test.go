package program_test

import (
	"context"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"

	"ainexus.io/bench/machine"
	"ainexus.io/bench/program"
	"ainexus.io/bench/row"
)

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
		b := &program.Bench{Rows: row.NewPrinter(&out, true), Log: io.Discard}
		f := program.Figure{Name: "half", Lines: []row.Line{first, second}, Measure: func(_ context.Context, _ *program.Bench, report func(row.Row)) error {
			report(first.Alone(1))
			return c.err
		}}
		if err := b.Take(t.Context(), f); err != nil {
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

func TestOnlyWhatIsAskedForIsMeasured(t *testing.T) {
	b, err := program.NewFlags("some").Parse([]string{"-only", "^b", "-quick"})
	if err != nil {
		t.Fatal(err)
	}
	if b.Times(40) != 2 || b.Times(1) != 1 {
		t.Errorf("-quick repeats %d and %d times", b.Times(40), b.Times(1))
	}
	var out, log strings.Builder
	b.Rows, b.Log = row.NewPrinter(&out, false), &log
	var figures []program.Figure
	for _, name := range []string{"a", "b", "cb"} {
		line := row.Line{What: "what " + name, Unit: "ms"}
		figures = append(figures, program.Figure{Name: name, Lines: []row.Line{line}, Measure: func(_ context.Context, _ *program.Bench, report func(row.Row)) error {
			report(line.Alone(1))
			return nil
		}})
	}
	if err := b.Run(t.Context(), []machine.Fact{{Name: "cores", Value: "2"}}, figures); err != nil {
		t.Fatal(err)
	}
	if text := out.String(); !strings.Contains(text, "what b ") || strings.Contains(text, "what a") || strings.Contains(text, "what cb") {
		t.Errorf("the table is\n%s", text)
	}
	if text := log.String(); !strings.HasPrefix(text, "# cores: 2\n# b ...\n# b took ") || !strings.Contains(text, "\n# load after: ") {
		t.Errorf("said\n%s", text)
	}
}

// The rows that were not reached are there, and the program says that it was stopped.
func TestAnInterruptedRunPrintsItsRows(t *testing.T) {
	ctx, stop := context.WithCancelCause(t.Context())
	var out strings.Builder
	b := &program.Bench{Only: regexp.MustCompile(""), Rows: row.NewPrinter(&out, true), Log: io.Discard}
	line := row.Line{What: "one", Unit: "ms"}
	interrupted := errors.New("interrupted")
	err := b.Run(ctx, nil, []program.Figure{{Name: "one", Lines: []row.Line{line}, Measure: func(ctx context.Context, _ *program.Bench, _ func(row.Row)) error {
		stop(interrupted)
		return nil
	}}})
	if !errors.Is(err, interrupted) || !strings.Contains(out.String(), `"why":"stopped: interrupted"`) {
		t.Errorf("%v; printed %s", err, out.String())
	}
}

func TestWhatIsNoRegularExpression(t *testing.T) {
	if _, err := program.NewFlags("some").Parse([]string{"-only", "("}); err == nil || !strings.HasPrefix(err.Error(), "-only: ") {
		t.Errorf("got %v", err)
	}
}
