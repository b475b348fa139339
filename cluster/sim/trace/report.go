package trace

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// maxNamed is how many bad rows a report names. The others are counted.
const maxNamed = 10

// Report says what became of the rows of a text.
type Report struct {
	Rows  int            // read, without the heading and blank lines
	Bad   int            // could not be read
	Named []BadRow       // the first ten of those
	Left  map[string]int // left out on purpose, by what they are: "steps"
}

// BadRow is a row that could not be read.
type BadRow struct {
	Line int // from 1
	Why  string
}

func (r *Report) bad(line int, format string, args ...any) {
	r.Bad++
	if len(r.Named) < maxNamed {
		r.Named = append(r.Named, BadRow{line, fmt.Sprintf(format, args...)})
	}
}

func (r *Report) leave(what string) {
	if r.Left == nil {
		r.Left = map[string]int{}
	}
	r.Left[what]++
}

// Lines says in words what was not taken; empty if everything was.
func (r Report) Lines() []string {
	var lines []string
	for _, what := range slices.Sorted(maps.Keys(r.Left)) {
		lines = append(lines, fmt.Sprintf("%d rows left out: %s", r.Left[what], what))
	}
	if r.Bad == 0 {
		return lines
	}
	lines = append(lines, fmt.Sprintf("%d of %d rows cannot be read", r.Bad, r.Rows))
	for _, b := range r.Named {
		lines = append(lines, fmt.Sprintf("line %d: %s", b.Line, b.Why))
	}
	if more := r.Bad - len(r.Named); more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
	}
	return lines
}

// quoted shows a cell, cut short where it is long.
func quoted(cell string) string {
	if runes := []rune(strings.ToValidUTF8(cell, "?")); len(runes) > 40 {
		cell = string(runes[:40]) + "..."
	}
	return fmt.Sprintf("%q", cell)
}
