package launch

import (
	"encoding/json"
	"math"
	"os"
	"strconv"
	"strings"
	"time"
)

// errorReport is what a worker left in its TORCHELASTIC_ERROR_FILE: torchelastic's format, which PyTorch has kept from 1.9 on,
// or a plain string.
type errorReport struct {
	message string
	stack   []string  // where it was, as its language tells it; nil: it does not say
	at      time.Time // by its own words, in whole seconds; zero: it does not say
	written time.Time // the file's
}

// errorFileSize is how much of an error file is read: a longer one is not what a worker says about an error.
const errorFileSize = 16 << 20

// readErrorFile returns nil where the worker left nothing that can be read.
func readErrorFile(path string) *errorReport {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() > errorFileSize {
		return nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	report := parseErrorFile(data)
	if report != nil {
		report.written = info.ModTime()
	}
	return report
}

func parseErrorFile(data []byte) *errorReport {
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
			Stack     string `json:"py_callstack"`
			Timestamp any    `json:"timestamp"` // a string in most releases, a number in some
		} `json:"extraInfo"`
	}
	if json.Unmarshal(file.Message, &long) != nil {
		return nil
	}
	report := &errorReport{message: long.Message}
	if stack := strings.TrimSpace(long.Extra.Stack); stack != "" {
		report.stack = strings.Split(stack, "\n")
	}
	var seconds float64
	switch at := long.Extra.Timestamp.(type) {
	case float64:
		seconds = at
	case string:
		seconds, _ = strconv.ParseFloat(at, 64)
	}
	if seconds > 0 && seconds < 1<<40 {
		whole, part := math.Modf(seconds)
		report.at = time.Unix(int64(whole), int64(part*1e9))
	}
	return report
}

// when is the time of the error. The file's own time is the finer one; where it is not that of the error (a file that was
// copied, another machine's clock), what the report says counts, and where neither can be, the worker's end.
func (r *errorReport) when(began, ended time.Time) time.Time {
	possible := func(t time.Time) bool { return !t.Before(began.Add(-time.Second)) && !t.After(ended) }
	if possible(r.written) && (r.at.IsZero() || r.written.Sub(r.at).Abs() < 2*time.Second) {
		return r.written
	}
	if possible(r.at) {
		return r.at
	}
	return ended
}
