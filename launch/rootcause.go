package launch

import (
	"encoding/json"
	"os"
	"slices"
	"strconv"

	"ainexus.io/proc"
)

// errorReport is what a worker left in its TORCHELASTIC_ERROR_FILE: torchelastic's format, or a plain string.
type errorReport struct {
	message string
	at      float64 // unix seconds; 0: it does not say
}

// readErrorFile returns nil where the worker left nothing that can be read.
func readErrorFile(path string) *errorReport {
	data, err := os.ReadFile(path)
	if err != nil || len(data) > 16<<20 {
		return nil
	}
	var file struct {
		Message json.RawMessage `json:"message"`
	}
	if json.Unmarshal(data, &file) != nil || len(file.Message) == 0 {
		return nil
	}
	var text string
	if json.Unmarshal(file.Message, &text) == nil {
		return &errorReport{message: text}
	}
	var long struct {
		Message string `json:"message"`
		Extra   struct {
			Timestamp any `json:"timestamp"` // a string in most releases, a number in some
		} `json:"extraInfo"`
	}
	if json.Unmarshal(file.Message, &long) != nil {
		return nil
	}
	report := &errorReport{message: long.Message}
	switch at := long.Extra.Timestamp.(type) {
	case float64:
		report.at = at
	case string:
		report.at, _ = strconv.ParseFloat(at, 64)
	}
	return report
}

// failure is a worker that ended badly without being asked to end.
type failure struct {
	rank   int
	exit   proc.Exit
	report *errorReport
}

// rootCause picks the failure that came first. Deaths are compared by when they were noticed, reports by their
// own time: the two clocks are never mixed. Who was killed by a signal did not follow somebody else; who just left
// may have, so that anybody's report counts more than a silent exit.
func rootCause(failures []failure) failure {
	slices.SortStableFunc(failures, func(a, b failure) int { return a.exit.At.Compare(b.exit.At) })
	first := failures[0]
	if first.report == nil && first.exit.Signal != 0 {
		return first
	}
	for _, f := range failures[1:] {
		switch {
		case f.report == nil:
		case first.report == nil, f.report.at > 0 && f.report.at < first.report.at:
			first = f
		}
	}
	return first
}
