package nexus

import (
	"fmt"
	"slices"
	"time"
)

// Suspect is a rank that seems to keep the others waiting, as it was when that became clear.
type Suspect struct {
	Rank   int     `json:"rank"`
	Own    float64 `json:"own_seconds"`    // that it works in a step before it waits in the collectives
	Others float64 `json:"others_seconds"` // the median of all ranks
	Step   int64   `json:"step"`
}

// Sentence says it in words.
func (s Suspect) Sentence() string {
	return fmt.Sprintf("rank %d is suspect: it keeps the others waiting, with %s of work in a step where they have %s (step %d)",
		s.Rank, asTime(s.Own), asTime(s.Others), s.Step)
}

// Cleared says that it is over.
func (s Suspect) Cleared() string {
	return fmt.Sprintf("rank %d keeps up with the others again", s.Rank)
}

func asTime(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d < 10*time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	case d < 10*time.Second:
		return d.Round(time.Millisecond).String()
	}
	return d.Round(100 * time.Millisecond).String()
}

// SuspectsChanged tells in sentences how one list of suspects became another.
func SuspectsChanged(before, after []Suspect) (told []string) {
	has := func(list []Suspect, rank int) bool {
		return slices.ContainsFunc(list, func(s Suspect) bool { return s.Rank == rank })
	}
	for _, s := range before {
		if !has(after, s.Rank) {
			told = append(told, s.Cleared())
		}
	}
	for _, s := range after {
		if !has(before, s.Rank) {
			told = append(told, s.Sentence())
		}
	}
	return told
}
