package policy

// DotProd is Tetris' alignment as the FGD study measured it: the smaller the product of what is free and
// what is asked (processor time and devices, each against 128 CPUs and 8 devices), the better, cut to an
// integer of 0..100.
type DotProd struct{}

// Score implements [Scorer].
func (DotProd) Score(s *Site, r *Request) (int64, int) {
	device := tightest(s, r.Share)
	cpu := float64(float64(s.CPU)/128000) * float64(float64(r.CPU)/128000)
	gpu := float64(float64(freeParts(s))/8000) * float64(float64(asked(s, r, device))/8000)
	return int64(float64(100 * (1 - float64((cpu+gpu)/2)))), device
}
