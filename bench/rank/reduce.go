package rank

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"ainexus.io/bench/row"
)

// Reduce has the ranks that read from in reduce so many bytes so many times, and gives the time of each iteration in
// ms: the slowest rank's. hear gives the next line of a rank.
func Reduce[W io.Writer](in []W, hear func(rank int) (string, error), bytes, iterations int) ([]float64, error) {
	for i, w := range in {
		if _, err := fmt.Fprintln(w, bytes, iterations); err != nil {
			return nil, fmt.Errorf("asking rank %d: %w", i, err)
		}
	}
	times := make([][]float64, len(in))
	for i := range times {
		line, err := hear(i)
		if err != nil {
			return nil, fmt.Errorf("hearing from rank %d: %w", i, err)
		}
		for word := range strings.FieldsSeq(line) {
			ns, err := strconv.ParseFloat(word, 64)
			if err != nil {
				return nil, fmt.Errorf("rank %d said %q: %w", i, line, err)
			}
			times[i] = append(times[i], ns/1e6)
		}
		if len(times[i]) != iterations {
			return nil, fmt.Errorf("rank %d timed %d iterations of %d", i, len(times[i]), iterations)
		}
	}
	return row.Slowest(times), nil
}
