package policy

// Waits says whether a share had better wait for a hole than open that device: nobody has any part of it,
// the node would lose more than an eighth of a device beyond what the share asks, and no
// more than an eighth of the cluster's devices are idle. The last idle devices are kept for jobs that use
// them whole (trunk reservation, in the telephone's words).
//
// It is for places with a queue only, and only the planner's aging makes it fair: who has waited long goes
// ahead. Where nobody else comes, the devices that are kept stay idle for that long.
func (w *Worth) Waits(s *Site, r *Request, device, idle, devices int) bool {
	const eighth = 125
	if r.Share == 0 || device < 0 || s.GPUs[device].Free < s.GPUs[device].Total || idle*1000 > devices*eighth {
		return false
	}
	k := w.kindAt(s)
	if k == nil {
		return false
	}
	var room [maxDevices]int64
	free := room[:parts(s, &room)]
	taken := partsOf(r.Share, s.GPUs[device].Total)
	before := w.worth(k, s.CPU, free)
	free[device] = partsOf(s.GPUs[device].Free-r.Share, s.GPUs[device].Total)
	return 1000*(before-w.worth(k, s.CPU-r.CPU, free)) > float64(taken+eighth)
}
