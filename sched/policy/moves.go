package policy

import "ainexus.io/nexus"

// Tenant is what a running job has on a [Site].
type Tenant struct {
	Request
	Devices []int // the indices of its devices in the site's GPUs, one for a share
	Fixed   bool  // it must stay where it is: it cannot save its work, or it was moved too lately
}

// Board is what [Relocate] needs to see of a cluster.
type Board interface {
	// Sites are the nodes where jobs run, in an order that does not depend on how they were told.
	Sites() []*Site
	// Tenants are the running jobs of a site.
	Tenants(site int) []Tenant
	// Best is the site that the scorer ranks first for the request, other than those two, and the device
	// for a share. Negative: it fits nowhere.
	Best(r *Request, except, also int) (site, device int)
}

// Move sends a tenant of the site of a [Relocation] elsewhere.
type Move struct {
	Tenant int // its index in Board.Tenants of the site
	To     int // a site
	Device int // the device there that a share goes to
}

// Relocation says how to make room on a site.
type Relocation struct {
	Site  int
	Moves []Move
}

// Relocate finds room for a request that fits nowhere: the site from which the fewest jobs, one or at most
// two, must move to where they fit now. Among as few, the fewest devices move, then the first site wins. A
// planner asks for the waiting jobs in their order, as long as its budget of moves lasts; carries the moves
// out as evictions that are promised their new place; and starts the waiting job when they have left. Every
// answer lets one more job run and stops none, so moves come to an end by themselves.
func Relocate(b Board, r *Request, limit int) (Relocation, bool) {
	var best Relocation
	cost := int64(-1)
	for i, s := range b.Sites() {
		if s.CPUTotal < r.CPU || s.MemoryTotal < r.Memory || len(s.GPUs) < r.GPUs || !allows(r, s) {
			continue
		}
		tenants := b.Tenants(i)
		for a := range tenants {
			if limit < 1 || !movable(s, &tenants[a], r) {
				continue
			}
			if c := costOf(&tenants[a]); (cost < 0 || c < cost) && fitsWithout(s, r, &tenants[a], nil) {
				if to, device := b.Best(&tenants[a].Request, i, i); to >= 0 {
					best, cost = Relocation{i, []Move{{a, to, device}}}, c
				}
			}
		}
	}
	if cost >= 0 || limit < 2 {
		return best, cost >= 0
	}
	for i, s := range b.Sites() {
		if s.CPUTotal < r.CPU || s.MemoryTotal < r.Memory || len(s.GPUs) < r.GPUs || !allows(r, s) {
			continue
		}
		if pair, c := relocatePair(b, i, s, r, cost); c >= 0 {
			best, cost = pair, c
		}
	}
	return best, cost >= 0
}

// relocatePair looks for two tenants of a site to move to two other sites, for less than the given cost
// (negative: any).
func relocatePair(b Board, i int, s *Site, r *Request, under int64) (best Relocation, cost int64) {
	cost = -1
	tenants := b.Tenants(i)
	for a := range tenants {
		for z := a + 1; z < len(tenants); z++ {
			x, y := &tenants[a], &tenants[z]
			if !movable(s, x, r) || !movable(s, y, r) {
				continue
			}
			c := costOf(x) + costOf(y)
			if under >= 0 && c >= under || cost >= 0 && c >= cost || !fitsWithout(s, r, x, y) {
				continue
			}
			first, device := b.Best(&x.Request, i, i)
			if first < 0 {
				continue
			}
			second, other := b.Best(&y.Request, i, first)
			if second < 0 {
				continue
			}
			best, cost = Relocation{i, []Move{{a, first, device}, {z, second, other}}}, c
		}
	}
	return best, cost
}

// movable says whether it can help to move the tenant: it may move, and is smaller than what comes.
func movable(s *Site, t *Tenant, r *Request) bool {
	return !t.Fixed && weight(s, &t.Request) < weight(s, r)
}

// weight is how much of the site's devices a request asks, in thousandths of a device.
func weight(s *Site, r *Request) int64 {
	if r.Share > 0 && len(s.GPUs) > 0 {
		return asked(s, r, 0)
	}
	return int64(r.GPUs) * 1000
}

// costOf ranks tenants by what a move disturbs: devices first, then processor time.
func costOf(t *Tenant) int64 {
	devices := int64(t.GPUs) * 1000
	if t.Share > 0 {
		devices = 500
	}
	return devices<<32 + int64(t.CPU)
}

func allows(r *Request, s *Site) bool {
	return r.Models == 0 || r.GPUs == 0 && r.Share == 0 || r.Models>>s.Model&1 == 1
}

// fitsWithout says whether the request fits the site once the tenants have left; y may be nil.
func fitsWithout(s *Site, r *Request, x, y *Tenant) bool {
	cpu, memory := s.CPU+x.CPU, s.Memory+x.Memory
	if y != nil {
		cpu, memory = cpu+y.CPU, memory+y.Memory
	}
	if cpu < r.CPU || memory < r.Memory {
		return false
	}
	if r.GPUs == 0 && r.Share == 0 {
		return true
	}
	idle := 0
	for d := range s.GPUs {
		free := s.GPUs[d].Free + held(s, x, d)
		if y != nil {
			free += held(s, y, d)
		}
		if r.Share > 0 && free >= r.Share {
			return true
		}
		if free == s.GPUs[d].Total && free > 0 {
			idle++
		}
	}
	return r.Share == 0 && idle >= r.GPUs
}

// held is what the tenant has of a device.
func held(s *Site, t *Tenant, device int) nexus.MiB {
	for _, d := range t.Devices {
		if d == device && t.Share > 0 {
			return t.Share
		}
		if d == device {
			return s.GPUs[d].Total
		}
	}
	return 0
}
