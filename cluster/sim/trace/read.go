package trace

import (
	"bufio"
	"io"
	"slices"
	"strings"
	"time"

	"ainexus.io/nexus"
)

// Format is how a text tells jobs.
type Format string

// The formats. Auto looks at the heading; Philly is a CSV.
const (
	Auto   Format = "auto"
	Philly Format = "philly"
	Comma  Format = "csv"
	Slurm  Format = "sacct"
)

// Formats lists them.
func Formats() []Format { return []Format{Auto, Philly, Comma, Slurm} }

// maxHeading is how much of a text is looked at to tell its format, in bytes.
const maxHeading = 4096

// Read reads jobs of a format, in the order of their submission; those of the same instant stay as they came.
func Read(f Format, in io.Reader) ([]Job, Report, error) {
	if f == Auto {
		b := bufio.NewReaderSize(in, maxHeading)
		start, _ := b.Peek(maxHeading) // the reader tells what is wrong with it
		f, in = formatOf(string(start)), b
	}
	read := CSV
	if f == Slurm {
		read = Sacct
	}
	jobs, report, err := read(in)
	if err != nil {
		return nil, report, err
	}
	if len(jobs) == 0 {
		return nil, report, &nexus.Error{Code: nexus.CodeInvalid, Message: "the trace has no job that can be read", Hint: strings.Join(report.Lines(), "; ")}
	}
	// Of one second, the later line comes first: no trace says, and so what was published of FIFO and EASY on Philly is
	// met most nearly (docs/simulate.md).
	slices.Reverse(jobs)
	slices.SortStableFunc(jobs, func(a, b Job) int { return a.Submit.Compare(b.Submit) })
	return jobs, report, nil
}

func formatOf(start string) Format {
	heading, _, _ := strings.Cut(start, "\n")
	if strings.Count(heading, "|") > strings.Count(heading, ",") {
		return Slurm
	}
	return Comma
}

// Window keeps the jobs that were submitted from a time on and before another; a zero time does not bound.
func Window(jobs []Job, from, to time.Time) []Job {
	return slices.DeleteFunc(slices.Clone(jobs), func(j Job) bool {
		return !from.IsZero() && j.Submit.Before(from) || !to.IsZero() && !j.Submit.Before(to)
	})
}
