package jobfile

import (
	"errors"
	"fmt"
	"strings"

	"ainexus.io/nexus"
)

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
