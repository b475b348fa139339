package jobfile

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"ainexus.io/nexus"
)

// Where returns the error on one line with its place: "job.yaml:3:5: unknown field ...". Without a name it
// says "line 3, column 5: ..."; an error without a place is its message.
func Where(name string, e *nexus.Error) string {
	switch {
	case e.Line == 0:
		return clean(e.Message)
	case name == "" && e.Column == 0:
		return clean(fmt.Sprintf("line %d: %s", e.Line, e.Message))
	case name == "":
		return clean(fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Message))
	case e.Column == 0:
		return clean(fmt.Sprintf("%s:%d: %s", name, e.Line, e.Message))
	}
	return clean(fmt.Sprintf("%s:%d:%d: %s", name, e.Line, e.Column, e.Message))
}

// Explain tells an error of [Parse] to people: a line "error: ..." for each mistake, and under it "hint: ..."
// where there is one that the next mistake does not repeat. name is the file's, as in [Where].
func Explain(name string, err error) string {
	var several nexus.Errors
	var one *nexus.Error
	switch {
	case errors.As(err, &several):
	case errors.As(err, &one):
		several = nexus.Errors{one}
	default:
		return "error: " + clean(err.Error()) + "\n"
	}
	var text strings.Builder
	for i, e := range several {
		fmt.Fprintf(&text, "error: %s\n", Where(name, e))
		if last := i+1 == len(several); e.Hint != "" && (last || several[i+1].Hint != e.Hint) {
			fmt.Fprintf(&text, "hint: %s\n", clean(e.Hint))
		}
	}
	return text.String()
}

// clean escapes whatever would leave the line or move the cursor.
func clean(text string) string {
	if isPrintable(text) {
		return text
	}
	var line strings.Builder
	for _, r := range text {
		if strconv.IsPrint(r) {
			line.WriteRune(r)
		} else {
			escaped := strconv.QuoteRune(r)
			line.WriteString(escaped[1 : len(escaped)-1])
		}
	}
	return line.String()
}
