package row

import (
	"math"
	"slices"
)

// Median is the middle of the samples, or the mean of the two in the middle; NaN of none.
func Median(samples []float64) float64 {
	if len(samples) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(samples))
	mid := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[mid]
	}
	return (sorted[mid-1] + sorted[mid]) / 2
}

// Percentile is the smallest sample that at least p percent of them do not exceed (nearest rank); NaN of none.
func Percentile(samples []float64, p float64) float64 {
	if len(samples) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(samples))
	rank := int(math.Ceil(p / 100 * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// Slowest takes the times that each rank measured of the same iterations and gives the longest of each iteration.
// It stops where the shortest list does.
func Slowest(ranks [][]float64) []float64 {
	if len(ranks) == 0 {
		return nil
	}
	longest := slices.Clone(ranks[0])
	for _, times := range ranks[1:] {
		longest = longest[:min(len(longest), len(times))]
		for i := range longest {
			longest[i] = max(longest[i], times[i])
		}
	}
	return longest
}
