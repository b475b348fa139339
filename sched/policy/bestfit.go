package policy

// BestFit prefers the node that keeps the least processor time and the least of its devices, each against
// the largest node of the publication (128 CPUs, 8 devices), cut to an integer of 0..100.
type BestFit struct{}

// Score implements [Scorer].
func (BestFit) Score(s *Site, r *Request) (int64, int) {
	device := tightest(s, r.Share)
	left := freeParts(s) - asked(s, r, device)
	return (256000 - int64(s.CPU-r.CPU) - 16*left) / 2560, device
}
