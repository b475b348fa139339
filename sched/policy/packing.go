package policy

// Packing first uses devices that are shared already, then idle devices of nodes in use, then idle nodes,
// as the FGD study's GPU packing does; the fewer idle devices are taken or left, the better. Jobs without
// devices do not care.
type Packing struct{}

// Score implements [Scorer].
func (Packing) Score(s *Site, r *Request) (int64, int) {
	device := tightest(s, r.Share)
	if r.GPUs == 0 && r.Share == 0 {
		return 0, device
	}
	idle := int64(0)
	for i := range s.GPUs {
		if s.GPUs[i].Total > 0 && s.GPUs[i].Free == s.GPUs[i].Total {
			idle++
		}
	}
	switch {
	case idle == int64(len(s.GPUs)):
		return max(33-idle, idle), device
	case r.Share == 0:
		return max(50-int64(r.GPUs), 33), device
	case s.GPUs[device].Free == s.GPUs[device].Total:
		return 49, device
	}
	return 100 - partsOf(s.GPUs[device].Free, s.GPUs[device].Total)/10/10, device
}
