package policy

import (
	"slices"
	"strings"

	"ainexus.io/nexus"
)

// The mix of requests is a bounded count of them. At most mixSize are kept apart. One more takes the place of the rarest
// and inherits its count (space-saving: no count is too low, and none too high by more than Seen/mixSize). When
// Seen reaches mixSpan, all counts are halved, so that a new mix outweighs an old one in time.
const (
	mixSize  = 256
	mixSpan  = 1 << 15
	mixFirst = 16 // the first mix is published after so many requests
)

// WantedBy is what a job asks of each of its nodes.
func WantedBy(s *nexus.Spec) nexus.Wanted {
	r := &s.Resources
	w := nexus.Wanted{CPU: r.CPU, Memory: r.Memory, GPUs: r.GPUs.N}
	if r.GPUs.Auto {
		w.GPUs = s.Workers
	}
	if r.Share() {
		w.Share = r.GPUMemory
	}
	if w.GPUs > 0 || w.Share > 0 {
		w.Models = strings.Join(r.GPUModel, "|")
	}
	return w
}

// LearnArrival counts what a job that has come asks for, and reports whether so much is new that the history is worth
// publishing for it: every score that was kept is void then. That is first so after sixteen requests, and again
// whenever a quarter more have been seen: some thirty times in the first ten thousand, then about every seven thousand.
func LearnArrival(h *nexus.History, s *nexus.Spec) (due bool) {
	w, m := WantedBy(s), &h.Mix
	m.Seen++
	i := slices.IndexFunc(m.Kept, func(k nexus.Wanted) bool { k.Count = 0; return k == w })
	switch {
	case i >= 0:
	case len(m.Kept) < mixSize:
		i = len(m.Kept)
		m.Kept = append(m.Kept, w)
	default:
		i = len(m.Kept) - 1
		w.Count = m.Kept[i].Count
		m.Kept[i] = w
	}
	m.Kept[i].Count++
	for ; i > 0 && m.Kept[i-1].Count < m.Kept[i].Count; i-- {
		m.Kept[i-1], m.Kept[i] = m.Kept[i], m.Kept[i-1]
	}
	if m.Seen >= mixSpan {
		halve(m)
	}
	if m.Seen < max(mixFirst, m.Told+max(1, m.Told/4)) {
		return false
	}
	m.Told = m.Seen
	h.Version++
	return true
}

func halve(m *nexus.Mix) {
	m.Seen, m.Told = 0, m.Told/2
	for i := range m.Kept {
		m.Kept[i].Count /= 2
		m.Seen += m.Kept[i].Count
	}
	m.Kept = slices.DeleteFunc(m.Kept, func(w nexus.Wanted) bool { return w.Count == 0 })
}
