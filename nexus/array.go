package nexus

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Array is the indices of a job that is submitted many times: "0-15%4", "0,3,7", "0-10:2". Each index becomes
// a job of its own, a member.
type Array struct {
	Spans  []Span
	AtOnce int // how many members may run at once; 0: all
}

// Span is the indices First, First+Step, ... up to Last.
type Span struct{ First, Last, Step int }

// The most members that an array has, and the highest index of one.
const (
	MaxMembers = 10_000
	MaxIndex   = 999_999
)

// Member is a job's place in the array that it was submitted with.
type Member struct {
	Array   string `json:"array"`             // the id that all members share
	Name    string `json:"name"`              // of the array: what the job file says
	Indices string `json:"indices"`           // the array as it was written
	Index   int    `json:"index"`             // this member's
	Size    int    `json:"size"`              // how many members there are
	AtOnce  int    `json:"at_once,omitempty"` // how many may run at once; 0: all
}

// IsZero reports whether there is no array.
func (a Array) IsZero() bool { return len(a.Spans) == 0 }

// String writes "0-15%4".
func (a Array) String() string {
	list := make([]string, len(a.Spans))
	for i, s := range a.Spans {
		list[i] = strconv.Itoa(s.First)
		if s.Last > s.First {
			list[i] += "-" + strconv.Itoa(s.Last)
		}
		if s.Step > 1 {
			list[i] += ":" + strconv.Itoa(s.Step)
		}
	}
	text := strings.Join(list, ",")
	if a.AtOnce > 0 {
		text += "%" + strconv.Itoa(a.AtOnce)
	}
	return text
}

// Indices lists the indices, ascending, each once.
func (a Array) Indices() []int {
	var list []int
	for _, s := range a.Spans {
		for i := s.First; i <= s.Last; i += max(1, s.Step) {
			list = append(list, i)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// MarshalText writes [Array.String].
func (a Array) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads what [Array.String] writes.
func (a *Array) UnmarshalText(text []byte) error {
	list, limit, limited := strings.Cut(string(text), "%")
	var read Array
	if limited {
		n, ok := index(limit)
		if !ok || n < 1 {
			return fmt.Errorf("%q does not say how many may run at once: a number from 1 follows the %%, as in 0-15%%4", shortened(text))
		}
		read.AtOnce = n
	}
	members := 0
	for part := range strings.SplitSeq(list, ",") {
		span, ok := readSpan(strings.TrimSpace(part))
		if !ok {
			return fmt.Errorf("%q is no list of indices such as 0-15, 0,3,7, 0-10:2 or 0-15%%4", shortened(text))
		}
		if span.Last > MaxIndex {
			return fmt.Errorf("%d is more than %d, the highest index", span.Last, MaxIndex)
		}
		members += (span.Last-span.First)/span.Step + 1
		if members > MaxMembers {
			return fmt.Errorf("%q has more than %d members", shortened(text), MaxMembers)
		}
		read.Spans = append(read.Spans, span)
	}
	if all := read.Indices(); len(all) < members {
		return fmt.Errorf("%q names an index twice", shortened(text))
	}
	*a = read
	return nil
}

// UnmarshalJSON takes a string or a number.
func (a *Array) UnmarshalJSON(data []byte) error { return unmarshalScalar(data, a.UnmarshalText) }

// readSpan reads "3", "0-15" or "0-10:2"; Last is the last index that there is.
func readSpan(text string) (Span, bool) {
	text, step, stepped := strings.Cut(text, ":")
	first, last, ranged := strings.Cut(text, "-")
	s := Span{Step: 1}
	var ok1, ok2, ok3 = true, true, true
	s.First, ok1 = index(first)
	s.Last = s.First
	if ranged {
		s.Last, ok2 = index(last)
	}
	if stepped {
		s.Step, ok3 = index(step)
	}
	if !ok1 || !ok2 || !ok3 || s.Last < s.First || s.Step < 1 || stepped && !ranged {
		return Span{}, false
	}
	s.Last -= (s.Last - s.First) % s.Step
	if s.Last == s.First {
		s.Step = 1
	}
	return s, true
}

func index(text string) (int, bool) {
	n, err := strconv.ParseUint(text, 10, 31)
	return int(n), err == nil
}

// shortened keeps a long text from filling a screen.
func shortened(text []byte) string {
	const most = 60
	if len(text) > most {
		return string(text[:most]) + "..."
	}
	return string(text)
}
