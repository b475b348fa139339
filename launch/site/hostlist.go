package site

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// longest is how many hosts one list may name: as many nodes as SLURM can have.
const longest = 1 << 16

// Hosts expands SLURM's notation for many hosts: "gpu[01-03,07],login,rack[1-2]n[0-9]" are gpu01, gpu02, gpu03, gpu07, login,
// rack1n0 and so on, in this order. Leading zeros are kept.
func Hosts(list string) ([]string, error) {
	var hosts []string
	for _, word := range words(list) {
		expanded, err := expand(word, longest-len(hosts))
		if err != nil {
			return nil, fmt.Errorf("reading the list of hosts %q: %w", list, err)
		}
		hosts = append(hosts, expanded...)
	}
	if len(hosts) == 0 {
		return nil, fmt.Errorf("the list of hosts %q is empty", list)
	}
	return hosts, nil
}

// words splits at the commas outside of brackets.
func words(list string) []string {
	depth := 0
	return strings.FieldsFunc(list, func(r rune) bool {
		switch r {
		case '[':
			depth++
		case ']':
			depth--
		}
		return depth == 0 && (r == ',' || r == ' ' || r == '\n' || r == '\t')
	})
}

// expand gives the hosts of one word, the last bracket running fastest.
func expand(word string, room int) ([]string, error) {
	before, rest, bracket := strings.Cut(word, "[")
	if strings.Contains(before, "]") {
		return nil, fmt.Errorf("%q closes a bracket that is not open", word)
	}
	if !bracket {
		if room < 1 {
			return nil, errTooMany
		}
		return []string{before}, nil
	}
	inside, after, closed := strings.Cut(rest, "]")
	if !closed || strings.Contains(inside, "[") {
		return nil, fmt.Errorf("%q does not close its bracket", word)
	}
	ends, err := expand(after, room)
	if err != nil {
		return nil, err
	}
	var hosts []string
	for part := range strings.SplitSeq(inside, ",") {
		r, err := parseSpan(part)
		if err != nil {
			return nil, err
		}
		if (r.last-r.first+1)*len(ends) > room-len(hosts) {
			return nil, errTooMany
		}
		for n := r.first; n <= r.last; n++ {
			for _, end := range ends {
				hosts = append(hosts, fmt.Sprintf("%s%0*d%s", before, r.width, n, end))
			}
		}
	}
	return hosts, nil
}

var errTooMany = errors.New("it names more than 65,536 hosts")

// span is "007" or "01-16" within brackets.
type span struct{ first, last, width int }

func parseSpan(text string) (span, error) {
	low, high, ranged := strings.Cut(text, "-")
	if !ranged {
		high = low
	}
	wrong := fmt.Errorf("%q is neither a number nor a range", text)
	for _, digits := range []string{low, high} {
		if digits == "" || len(digits) > 9 || strings.Trim(digits, "0123456789") != "" {
			return span{}, wrong
		}
	}
	first, _ := strconv.Atoi(low)
	last, _ := strconv.Atoi(high)
	if last < first {
		return span{}, wrong
	}
	return span{first, last, len(low)}, nil
}
