package policy

import "slices"

// Sketch is what is known of the requests that come: a bounded count of them, newest decayed least. It is a
// plain value that a place may keep with its records. The zero value knows nothing.
//
// At most [sketchSize] requests are kept apart. One more takes the place of the rarest and inherits its
// count (space-saving: no count is too low, and none too high by more than Seen/sketchSize). When Seen
// reaches [sketchSpan], all counts are halved, so that a new mix outweighs an old one in time.
type Sketch struct {
	Kept []Demand // the most frequent first
	Seen int64    // the sum of the counts
	Told int64    // Seen when the mix was last published
}

const (
	sketchSize  = 256
	sketchSpan  = 1 << 15
	sketchFirst = 16 // the first mix is published after so many requests
)

// Add counts a request that has arrived.
func (s *Sketch) Add(r Request) {
	s.Seen++
	i := slices.IndexFunc(s.Kept, func(d Demand) bool { return d.Request == r })
	switch {
	case i >= 0:
	case len(s.Kept) < sketchSize:
		i = len(s.Kept)
		s.Kept = append(s.Kept, Demand{Request: r})
	default:
		i = len(s.Kept) - 1
		s.Kept[i].Request = r
	}
	s.Kept[i].Count++
	for ; i > 0 && s.Kept[i-1].Count < s.Kept[i].Count; i-- {
		s.Kept[i-1], s.Kept[i] = s.Kept[i], s.Kept[i-1]
	}
	if s.Seen >= sketchSpan {
		s.halve()
	}
}

func (s *Sketch) halve() {
	s.Seen, s.Told = 0, s.Told/2
	for i := range s.Kept {
		s.Kept[i].Count /= 2
		s.Seen += s.Kept[i].Count
	}
	s.Kept = slices.DeleteFunc(s.Kept, func(d Demand) bool { return d.Count == 0 })
}

// Due says whether so much is new that the mix is worth publishing again: every score that was kept is
// void then. It is first due after sixteen requests, and again whenever a quarter more have been seen:
// some thirty times in the first ten thousand, then about every seven thousand.
func (s *Sketch) Due() bool { return s.Seen >= max(sketchFirst, s.Told+max(1, s.Told/4)) }

// Mix publishes what is known, the most frequent first.
func (s *Sketch) Mix() []Demand {
	s.Told = s.Seen
	return slices.Clone(s.Kept)
}
