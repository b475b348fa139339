package nexus

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// MiB is an amount of memory in mebibytes. Requests round up to it.
type MiB int64

// memory units in bytes, longest suffix first.
var memoryUnits = []struct {
	suffix string
	bytes  int64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"Ki", 1 << 10}, {"Mi", 1 << 20}, {"Gi", 1 << 30}, {"Ti", 1 << 40},
	{"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12},
	{"k", 1e3}, {"K", 1e3}, {"M", 1e6}, {"G", 1e9}, {"T", 1e12},
	{"B", 1},
}

// ParseMiB reads "40GiB", "40Gi", "512MiB", "16GB", "1.5GiB" or a plain number of bytes, and rounds up. The
// most that it can count is a little under 8192TiB.
func ParseMiB(text string) (MiB, error) {
	number, unit := strings.TrimSpace(text), int64(1)
	for _, u := range memoryUnits {
		if rest, ok := strings.CutSuffix(number, u.suffix); ok {
			number, unit = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	thousandths, err := parseThousandths(number)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, fmt.Errorf("%q is not an amount of memory such as 40GiB", text)
	}
	if err != nil || thousandths > math.MaxInt64/unit {
		return 0, fmt.Errorf("%q is more memory than can be counted", text)
	}
	const mib = 1000 << 20 // thousandths of a byte in a MiB
	whole := thousandths * unit / mib
	if thousandths*unit%mib != 0 {
		whole++
	}
	return MiB(whole), nil
}

// String writes the amount in the largest binary unit that divides it: "40GiB", "512MiB".
func (m MiB) String() string {
	switch {
	case m != 0 && m%(1<<20) == 0:
		return strconv.FormatInt(int64(m>>20), 10) + "TiB"
	case m != 0 && m%(1<<10) == 0:
		return strconv.FormatInt(int64(m>>10), 10) + "GiB"
	}
	return strconv.FormatInt(int64(m), 10) + "MiB"
}

// MarshalText writes [MiB.String].
func (m MiB) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads what [ParseMiB] reads.
func (m *MiB) UnmarshalText(text []byte) (err error) {
	*m, err = ParseMiB(string(text))
	return err
}

// UnmarshalJSON takes a string or a number of bytes, and "-1MiB": what telemetry writes where nobody measures.
func (m *MiB) UnmarshalJSON(data []byte) error {
	if string(data) == `"-1MiB"` {
		*m = -1
		return nil
	}
	return unmarshalScalar(data, m.UnmarshalText)
}

// CPU is an amount of processor time in thousandths of a logical CPU (a "cpu slot" is 1000).
type CPU int64

// ParseCPU reads "2", "0.5" or "500m", and rounds up to a thousandth.
func ParseCPU(text string) (CPU, error) {
	number := strings.TrimSpace(text)
	if rest, ok := strings.CutSuffix(number, "m"); ok {
		n, err := strconv.ParseUint(rest, 10, 53)
		if err != nil {
			return 0, fmt.Errorf("%q is not a number of cpus such as 4 or 500m", text)
		}
		return CPU(n), nil
	}
	n, err := parseThousandths(number)
	if err != nil {
		return 0, fmt.Errorf("%q is not a number of cpus such as 4 or 0.5", text)
	}
	return CPU(n), nil
}

// String writes cpus with at most three decimals: "2", "0.5".
func (c CPU) String() string {
	if c%1000 == 0 {
		return strconv.FormatInt(int64(c/1000), 10)
	}
	if c < 0 {
		return "-" + (-c).String()
	}
	return strings.TrimRight(fmt.Sprintf("%d.%03d", c/1000, c%1000), "0")
}

// MarshalText writes [CPU.String].
func (c CPU) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads what [ParseCPU] reads.
func (c *CPU) UnmarshalText(text []byte) (err error) {
	*c, err = ParseCPU(string(text))
	return err
}

// MarshalJSON writes a bare number.
func (c CPU) MarshalJSON() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalJSON takes a string or a number.
func (c *CPU) UnmarshalJSON(data []byte) error { return unmarshalScalar(data, c.UnmarshalText) }

// Duration is a length of time, written as "90s", "15m", "24h", "7d" or sums of these.
type Duration time.Duration

// ParseDuration reads Go's notation and days ("7d", "1d12h"); it must not be negative.
func ParseDuration(text string) (Duration, error) {
	wrong := fmt.Errorf("%q is not a length of time such as 90s, 15m, 24h or 7d", text)
	rest, days := strings.TrimSpace(text), time.Duration(0)
	if before, after, ok := strings.Cut(rest, "d"); ok {
		n, err := strconv.ParseUint(before, 10, 16)
		if err != nil {
			return 0, wrong
		}
		rest, days = after, time.Duration(n)*24*time.Hour
		if rest == "" {
			return Duration(days), nil
		}
	}
	d, err := time.ParseDuration(rest)
	if err != nil || d < 0 || days > math.MaxInt64-d {
		return 0, wrong
	}
	return Duration(days + d), nil
}

// String writes the shortest exact form that [ParseDuration] reads.
func (d Duration) String() string {
	day := Duration(24 * time.Hour)
	if d > 0 && d%day == 0 {
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	text := time.Duration(d).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// MarshalText writes [Duration.String].
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what [ParseDuration] reads.
func (d *Duration) UnmarshalText(text []byte) (err error) {
	*d, err = ParseDuration(string(text))
	return err
}

// parseThousandths reads a non-negative decimal number and returns it times 1000, rounded up, without a float.
// The error is [strconv.ErrRange] where the number is too large.
func parseThousandths(text string) (int64, error) {
	whole, part, _ := strings.Cut(text, ".")
	if whole == "" && part == "" {
		return 0, fmt.Errorf("no number")
	}
	if whole == "" {
		whole = "0"
	}
	n, err := strconv.ParseUint(whole, 10, 53)
	if err != nil {
		return 0, err
	}
	value, scale, up := int64(n)*1000, int64(100), false
	for _, digit := range part {
		if digit < '0' || digit > '9' {
			return 0, fmt.Errorf("not a number: %q", text)
		}
		if scale == 0 {
			up = up || digit != '0'
			continue
		}
		value += int64(digit-'0') * scale
		scale /= 10
	}
	if up {
		value++
	}
	return value, nil
}

// unmarshalScalar hands a JSON string's text or a JSON number's digits to set. As everywhere in
// [encoding/json], null changes nothing.
func unmarshalScalar(data []byte, set func([]byte) error) error {
	if string(data) == "null" {
		return nil
	}
	if bytes.HasPrefix(data, []byte{'"'}) {
		var text string
		if err := json.Unmarshal(data, &text); err != nil {
			return err
		}
		return set([]byte(text))
	}
	return set(data)
}
