package policy

import "ainexus.io/nexus"

// maxDevices bounds the devices of one node that scores look at.
const maxDevices = 64

// parts writes what is free of each device, in thousandths of it, and says how many devices there are.
func parts(s *Site, free *[maxDevices]int64) int {
	n := min(len(s.GPUs), maxDevices)
	for i := range n {
		free[i] = partsOf(s.GPUs[i].Free, s.GPUs[i].Total)
	}
	return n
}

// partsOf is memory in thousandths of a device of that total.
func partsOf(memory, total nexus.MiB) int64 {
	if total <= 0 {
		return 0
	}
	if memory == total {
		return 1000
	}
	return int64(memory) * 1000 / int64(total)
}

// freeParts is how much of the node's devices is free, in thousandths of a device.
func freeParts(s *Site) (sum int64) {
	for i := range s.GPUs {
		sum += partsOf(s.GPUs[i].Free, s.GPUs[i].Total)
	}
	return sum
}

// tightest is the device with the least free memory that takes the share, or -1; also for no share.
func tightest(s *Site, share nexus.MiB) int {
	best := -1
	if share == 0 {
		return best
	}
	for i := range s.GPUs {
		if s.GPUs[i].Free >= share && (best < 0 || s.GPUs[i].Free < s.GPUs[best].Free) {
			best = i
		}
	}
	return best
}

// asked is what the request takes of the node's devices, in thousandths of a device; the share is taken of
// the given device.
func asked(s *Site, r *Request, device int) int64 {
	if r.Share > 0 && device >= 0 {
		return partsOf(r.Share, s.GPUs[device].Total)
	}
	return int64(r.GPUs) * 1000
}
