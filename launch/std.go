package launch

import (
	"fmt"
	"strconv"
	"strings"
)

// Std says which streams of which ranks are meant: torchrun's "3", or "0:1,1:2" by local rank, where 1 is
// stdout, 2 stderr and 3 both. The zero value means none.
type Std struct {
	all    int
	byRank map[int]int
	given  bool
}

// ParseStd reads torchrun's notation.
func ParseStd(text string) (Std, error) {
	s := Std{given: true}
	wrong := func() (Std, error) {
		return Std{}, fmt.Errorf("%q is neither 0, 1, 2 or 3 nor a list such as 0:1,1:3 (local rank : 1 stdout, 2 stderr, 3 both)", text)
	}
	if n, err := strconv.Atoi(text); err == nil {
		if n < 0 || n > 3 {
			return wrong()
		}
		s.all = n
		return s, nil
	}
	s.byRank = map[int]int{}
	for part := range strings.SplitSeq(text, ",") {
		left, right, ok := strings.Cut(part, ":")
		rank, err1 := strconv.Atoi(strings.TrimSpace(left))
		which, err2 := strconv.Atoi(strings.TrimSpace(right))
		if !ok || err1 != nil || err2 != nil || rank < 0 || which < 0 || which > 3 {
			return wrong()
		}
		s.byRank[rank] = which
	}
	return s, nil
}

// of is the bit set for a rank.
func (s Std) of(rank int) int {
	if s.byRank != nil {
		return s.byRank[rank]
	}
	return s.all
}

// Any reports whether a stream of the first so many ranks is meant.
func (s Std) Any(workers int) bool {
	for rank := range workers {
		if s.of(rank) != 0 {
			return true
		}
	}
	return false
}

const (
	stdout = 1
	stderr = 2
)
