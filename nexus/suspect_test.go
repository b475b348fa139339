package nexus

import (
	"slices"
	"testing"
)

// Who becomes suspect, or no longer is, is told once.
func TestSuspectsAreToldOnce(t *testing.T) {
	two := Suspect{Rank: 2, Own: 0.06123, Others: 0.0201, Step: 70}
	five := Suspect{Rank: 5, Own: 12, Others: 0.00123, Step: 90}
	again := two
	again.Own = 0.07
	for _, test := range []struct {
		before, after []Suspect
		want          []string
	}{
		{nil, nil, nil},
		{nil, []Suspect{two}, []string{"rank 2 is suspect: it keeps the others waiting, with 61ms of work in a step where they have 20ms (step 70)"}},
		{[]Suspect{two}, []Suspect{again}, nil},
		{[]Suspect{two}, []Suspect{five}, []string{
			"rank 2 keeps up with the others again",
			"rank 5 is suspect: it keeps the others waiting, with 12s of work in a step where they have 1.23ms (step 90)",
		}},
	} {
		if got := SuspectsChanged(test.before, test.after); !slices.Equal(got, test.want) {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
}
