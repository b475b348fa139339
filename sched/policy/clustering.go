package policy

// Clustering keeps jobs of one kind together, as the FGD study's GPU clustering does after Gandiva: a node
// that runs only the request's kind, then one that runs it too, then an idle one, then the others; among
// equals the fuller. The study has a kind for each number of devices; a [Site] tells only shares from whole
// devices, so these are the two kinds here.
type Clustering struct{}

// Score implements [Scorer].
func (Clustering) Score(s *Site, r *Request) (int64, int) {
	device := tightest(s, r.Share)
	if r.GPUs == 0 && r.Share == 0 {
		return 0, device
	}
	shares, whole := false, false
	for i := range s.GPUs {
		d := &s.GPUs[i]
		shares = shares || 0 < d.Free && d.Free < d.Total
		whole = whole || d.Free == 0 && d.Total > 0
	}
	mine, other := whole, shares
	if r.Share > 0 {
		mine, other = shares, whole
	}
	score := 25 * (8000 - min(8000, freeParts(s))) / 8000
	switch {
	case mine && !other:
		score += 75
	case mine:
		score += 50
	case !other:
		score += 25
	}
	return score, device
}
