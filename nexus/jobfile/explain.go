package jobfile

import (
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
