package trace

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"ainexus.io/nexus"
)

// Bounds of what is believed. What lies outside is a bad row.
const (
	maxCount    = 1 << 20
	maxDuration = 100 * 365 * 24 * time.Hour
	firstYear   = 1970
	lastYear    = 2200
)

// count reads a whole number from 0. Some tables write it with a fraction of zeros.
func count(what, cell string) (int, error) {
	whole, part, _ := strings.Cut(cell, ".")
	n, err := strconv.ParseUint(whole, 10, 32)
	if err != nil || strings.Trim(part, "0") != "" || n > maxCount {
		return 0, fmt.Errorf("%s is no %s", quoted(cell), what)
	}
	return int(n), nil
}

// seconds reads a length of time: a number of seconds, or a length with units such as 15m.
func seconds(what, cell string) (time.Duration, error) {
	if s, err := strconv.ParseFloat(cell, 64); err == nil {
		if !(s >= 0 && s <= maxDuration.Seconds()) { // NaN is neither
			return 0, fmt.Errorf("%s is no %s", quoted(cell), what)
		}
		return time.Duration(math.Round(s*1e3)) * time.Millisecond, nil
	}
	d, err := nexus.ParseDuration(cell)
	if err != nil || time.Duration(d) > maxDuration {
		return 0, fmt.Errorf("%s is no %s in seconds", quoted(cell), what)
	}
	return time.Duration(d), nil
}

// instant reads a point in time: a date with a time of day, or seconds since 1970. Without a zone it is UTC.
func instant(what, cell string) (time.Time, error) {
	wrong := fmt.Errorf("%s is no %s such as 2017-10-09 07:01:55", quoted(cell), what)
	for _, layout := range []string{time.DateTime, "2006-01-02T15:04:05", time.RFC3339Nano, "2006-01-02 15:04:05Z07:00", time.DateOnly} {
		if t, err := time.Parse(layout, cell); err == nil {
			if t.Year() < firstYear || t.Year() > lastYear {
				return time.Time{}, wrong
			}
			return t.UTC(), nil
		}
	}
	s, err := strconv.ParseFloat(cell, 64)
	if err != nil || !(s >= 0 && s < float64(time.Date(lastYear, 1, 1, 0, 0, 0, 0, time.UTC).Unix())) {
		return time.Time{}, wrong
	}
	whole, part := math.Modf(s)
	return time.Unix(int64(whole), int64(math.Round(part*1e3))*1e6).UTC(), nil
}

// mebibytes reads a plain number of MiB.
func mebibytes(what, cell string) (nexus.MiB, error) {
	n, err := strconv.ParseFloat(cell, 64)
	if err != nil || !(n >= 0 && n <= 1<<40) {
		return 0, fmt.Errorf("%s is no %s in MiB", quoted(cell), what)
	}
	return nexus.MiB(math.Ceil(n)), nil
}

// optional reads a cell that may be empty.
func optional[T any](what, cell string, read func(what, cell string) (T, error)) (T, error) {
	if cell == "" {
		var none T
		return none, nil
	}
	return read(what, cell)
}

// cpus reads a number of logical CPUs.
func cpus(what, cell string) (nexus.CPU, error) {
	n, err := nexus.ParseCPU(cell)
	if err != nil || n > maxCount*1000 {
		return 0, fmt.Errorf("%s is no %s", quoted(cell), what)
	}
	return n, nil
}
