package elastic

import (
	"slices"
	"time"

	"ainexus.io/nexus"
)

// Pace finds the ranks that keep the others waiting. All ranks of a step take equally long; what tells them apart is how long each
// works before it waits in the step's collectives. Five looks make a sight, the median of what each rank told in them. A rank is
// late in a sight if it is beyond the median of all ranks by more than four times their median absolute deviation, and by more than
// two fifths of the median and a millisecond: of few ranks, which are nearly equal, the deviation is next to nothing, and
// processors that others use too differ that much. It is suspect once it was late in sight after sight; one late sight, or many of
// which every third is not, make nobody suspect: loaders stall, interpreters collect garbage, rank 0 evaluates, batches differ in size.
//
// The zero value is ready to look.
type Pace struct {
	ranks []paced
}

const (
	sight    = 5 // looks
	lateMADs = 4
	proof    = 10 // late sights that make a rank suspect
	relief   = 2  // late sights that one in time makes up for
	pardon   = 4  // the same of a suspect, within a fifth of the median: three in a row clear it
)

type paced struct {
	tells   bool            // it has told once, and is waited for
	step    int64           // of the last look that counted
	told    []time.Duration // in the looks of this sight
	late    int             // sights, up to proof
	suspect nexus.Suspect   // where late is or was proof
	is      bool
}

// Worked is what a rank told: how long it works before the collectives of a step, lately.
type Worked struct {
	Rank int
	Step int64         // the last one; a look counts when all ranks have made another one
	Own  time.Duration // 0: it does not tell
}

// Look takes in what all ranks of a round last told, and reports whether who is suspect has changed. They are told in the same
// order every time.
func (p *Pace) Look(told []Worked) (changed bool) {
	if len(p.ranks) != len(told) {
		p.ranks = make([]paced, len(told))
	}
	telling := 0
	for i, w := range told {
		r := &p.ranks[i]
		if r.tells = r.tells || w.Own > 0; !r.tells {
			continue
		}
		if w.Own <= 0 || w.Step <= r.step {
			return false
		}
		telling++
	}
	if telling < 2 {
		return false
	}
	return p.look(told)
}

// look is one that counts.
func (p *Pace) look(told []Worked) (changed bool) {
	var own []time.Duration
	for i, w := range told {
		r := &p.ranks[i]
		if !r.tells {
			continue
		}
		r.step, r.told = w.Step, append(r.told, w.Own)
		if len(r.told) >= sight {
			own = append(own, lowMedian(r.told))
		}
	}
	if len(own) < 2 {
		return false
	}
	middle, limit := lateness(own)
	for i, w := range told {
		if r := &p.ranks[i]; len(r.told) >= sight {
			changed = r.judge(w, lowMedian(r.told), middle, limit) || changed
			r.told = r.told[:0]
		}
	}
	return changed
}

// lateness is the median of what ranks told, and beyond what one is late.
func lateness(own []time.Duration) (middle, limit time.Duration) {
	middle = lowMedian(own)
	off := make([]time.Duration, len(own))
	for i, d := range own {
		off[i] = (d - middle).Abs()
	}
	return middle, middle + max(lateMADs*lowMedian(off), middle*2/5+time.Millisecond)
}

// lowMedian is the lower one of the two in the middle: of two ranks the faster one is what the other could be.
func lowMedian(list []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[(len(sorted)-1)/2]
}

// judge says whether a rank that worked so long in a sight has become suspect, or is no longer.
func (r *paced) judge(w Worked, own, middle, limit time.Duration) (changed bool) {
	switch {
	case own > limit:
		r.late = min(proof, r.late+1)
	case r.is && own > middle+middle/5+time.Millisecond: // not quite well again
	case r.is:
		r.late = max(0, r.late-pardon)
	default:
		r.late = max(0, r.late-relief)
	}
	switch {
	case !r.is && r.late == proof:
		r.is, r.suspect = true, nexus.Suspect{Rank: w.Rank, Own: own.Seconds(), Others: middle.Seconds(), Step: w.Step}
		return true
	case r.is && r.late == 0:
		r.is = false
		return true
	}
	return false
}

// Suspects are the ranks that keep the others waiting, as they were when they became suspect.
func (p *Pace) Suspects() (list []nexus.Suspect) {
	for _, r := range p.ranks {
		if r.is {
			list = append(list, r.suspect)
		}
	}
	return list
}
