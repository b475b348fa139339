package trace

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"ainexus.io/nexus"
)

// column is a thing that a table may tell, and the names it goes by, folded. What is needed has to be there.
type column struct {
	what   string
	names  []string
	needed bool
}

// table reads rows by the names of their columns.
type table struct {
	next    func() ([]string, int, error) // cells and line
	heading []string
	at      map[string]int // by what; absent: the table does not tell it
	report  *Report
}

// row is one row of a table.
type row struct {
	*table
	cells []string
	line  int
}

// openTable reads the heading and finds the columns in it.
func openTable(kind string, next func() ([]string, int, error), columns []column, report *Report) (*table, error) {
	heading, _, err := next()
	if errors.Is(err, io.EOF) {
		return nil, &nexus.Error{Code: nexus.CodeInvalid, Message: "the " + kind + " is empty", Hint: "its first line names the columns"}
	}
	if err != nil {
		return nil, fmt.Errorf("reading the heading of the %s: %w", kind, err)
	}
	t := &table{next: next, heading: heading, at: map[string]int{}, report: report}
	for i := range heading {
		heading[i] = strings.TrimSpace(heading[i])
	}
	for _, c := range columns {
		i := t.find(c.names)
		if i >= 0 {
			t.at[c.what] = i
		} else if c.needed {
			return nil, t.lacks(kind, c)
		}
	}
	return t, nil
}

// find is the first column that has one of the names, the names tried in order; -1 if none has.
func (t *table) find(names []string) int {
	for _, name := range names {
		if i := slices.IndexFunc(t.heading, func(h string) bool { return fold(h) == name }); i >= 0 {
			return i
		}
	}
	return -1
}

func (t *table) lacks(kind string, c column) error {
	have := make([]string, 0, 20)
	for _, h := range t.heading[:min(len(t.heading), 20)] {
		have = append(have, strings.Trim(quoted(h), `"`))
	}
	return &nexus.Error{
		Code:    nexus.CodeInvalid,
		Message: fmt.Sprintf("the %s has no column for the %s", kind, c.what),
		Hint:    fmt.Sprintf("one of %s would do; it has %s", strings.Join(c.names, ", "), strings.Join(have, ", ")),
	}
}

// each calls take for every row that is as long as the heading; what take returns as an error is why the row is bad.
func (t *table) each(take func(row) error) error {
	for {
		cells, line, err := t.next()
		var broken *csv.ParseError
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.As(err, &broken):
			t.report.Rows++
			t.report.bad(broken.StartLine, "%s", broken.Err)
			continue
		case err != nil:
			return fmt.Errorf("reading line %d: %w", line, err)
		}
		t.report.Rows++
		if len(cells) != len(t.heading) {
			t.report.bad(line, "it has %d cells, the heading %d", len(cells), len(t.heading))
			continue
		}
		if err := take(row{t, cells, line}); err != nil {
			t.report.bad(line, "%s", err)
		}
	}
}

// get is a cell; empty where the table does not tell it.
func (r row) get(what string) string {
	if i, ok := r.at[what]; ok {
		return strings.TrimSpace(r.cells[i])
	}
	return ""
}

// commas reads rows of comma-separated values.
func commas(in io.Reader) func() ([]string, int, error) {
	r := csv.NewReader(withoutMark(in))
	r.FieldsPerRecord = -1
	return func() ([]string, int, error) {
		cells, err := r.Read()
		line := 0
		if err == nil {
			line, _ = r.FieldPos(0)
		}
		return cells, line, err
	}
}

// maxLine is the longest line, in bytes, that bars reads.
const maxLine = 1 << 20

// bars reads rows whose cells a | separates, and which nothing quotes. Where the heading ends with one, so does every
// row: it ends the last cell.
func bars(in io.Reader) func() ([]string, int, error) {
	s := bufio.NewScanner(withoutMark(in))
	s.Buffer(nil, maxLine)
	line, first, ends := 0, true, ""
	return func() ([]string, int, error) {
		for s.Scan() {
			line++
			text := strings.TrimRight(s.Text(), "\r")
			if strings.TrimSpace(text) == "" {
				continue
			}
			if first && strings.HasSuffix(text, "|") {
				ends = "|"
			}
			first = false
			return strings.Split(strings.TrimSuffix(text, ends), "|"), line, nil
		}
		if err := s.Err(); err != nil {
			return nil, line + 1, err
		}
		return nil, line, io.EOF
	}
}

// withoutMark drops the mark that some programs put before UTF-8.
func withoutMark(in io.Reader) io.Reader {
	b := bufio.NewReader(in)
	if mark, err := b.Peek(3); err == nil && string(mark) == "\ufeff" {
		_, _ = b.Discard(3) // it was just seen
	}
	return b
}

// fold makes Job_ID, job id and jobid alike.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		case r == '_' || r == '-' || r == ' ' || r == '.':
			return -1
		}
		return r
	}, name)
}
