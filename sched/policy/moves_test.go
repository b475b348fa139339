package policy_test

import (
	"testing"

	"pgregory.net/rapid"

	"ainexus.io/nexus"
	"ainexus.io/sched/policy"
)

// fleet is a small cluster that ranks sites by best fit.
type fleet struct {
	sites   []*policy.Site
	tenants [][]policy.Tenant
}

func (f *fleet) Sites() []*policy.Site         { return f.sites }
func (f *fleet) Tenants(i int) []policy.Tenant { return f.tenants[i] }

func (f *fleet) Best(r *policy.Request, except, also int) (site, device int) {
	site, best := -1, int64(0)
	for i, s := range f.sites {
		if i == except || i == also || !fits(s, r) {
			continue
		}
		if score, d := (policy.BestFit{}).Score(s, r); site < 0 || score > best {
			site, device, best = i, d, score
		}
	}
	return site, device
}

func (f *fleet) add(s policy.Site) { f.sites, f.tenants = append(f.sites, &s), append(f.tenants, nil) }

// start gives a request its place; device is for a share.
func (f *fleet) start(i, device int, r policy.Request) {
	s := f.sites[i]
	s.CPU, s.Memory = s.CPU-r.CPU, s.Memory-r.Memory
	t := policy.Tenant{Request: r}
	if r.Share > 0 {
		s.GPUs[device].Free -= r.Share
		t.Devices = []int{device}
	}
	for d := range s.GPUs {
		if len(t.Devices) < r.GPUs && s.GPUs[d].Free == s.GPUs[d].Total {
			s.GPUs[d].Free, t.Devices = 0, append(t.Devices, d)
		}
	}
	f.tenants[i] = append(f.tenants[i], t)
}

func (f *fleet) stop(i, tenant int) policy.Request {
	s, t := f.sites[i], f.tenants[i][tenant]
	s.CPU, s.Memory = s.CPU+t.CPU, s.Memory+t.Memory
	for _, d := range t.Devices {
		if s.GPUs[d].Free += t.Share; t.Share == 0 {
			s.GPUs[d].Free = s.GPUs[d].Total
		}
	}
	f.tenants[i] = append(f.tenants[i][:tenant:tenant], f.tenants[i][tenant+1:]...)
	return t.Request
}

// carryOut moves as told and reports whether everything found its place.
func (f *fleet) carryOut(rel policy.Relocation) bool {
	for k := len(rel.Moves) - 1; k >= 0; k-- { // the later index first, so that the earlier one stays true
		m := rel.Moves[k]
		r := f.stop(rel.Site, m.Tenant)
		if m.To == rel.Site || !fits(f.sites[m.To], &r) || r.Share > 0 && f.sites[m.To].GPUs[m.Device].Free < r.Share {
			return false
		}
		f.start(m.To, m.Device, r)
	}
	return true
}

func TestRelocateJoinsTwoHalves(t *testing.T) {
	var f fleet
	f.add(site("a", 20, 100, 0))
	f.add(site("b", 20, 100, 0))
	f.start(0, 0, share(4, 50))
	f.start(1, 0, share(2, 50))
	r := whole(8, 1)
	rel, ok := policy.Relocate(&f, &r, 2)
	if !ok || rel.Site != 1 || len(rel.Moves) != 1 || rel.Moves[0] != (policy.Move{Tenant: 0, To: 0, Device: 0}) {
		t.Fatalf("got %+v %v, want b's share to move to a", rel, ok)
	}
	if !f.carryOut(rel) || !fits(f.sites[1], &r) {
		t.Error("there is no room after the move")
	}
}

func TestRelocateLeavesWhoIsFixed(t *testing.T) {
	var f fleet
	f.add(site("a", 20, 100, 0))
	f.add(site("b", 20, 100, 0))
	f.start(0, 0, share(4, 50))
	f.start(1, 0, share(2, 50))
	f.tenants[0][0].Fixed, f.tenants[1][0].Fixed = true, true
	if rel, ok := policy.Relocate(&f, &policy.Request{CPU: 8000, GPUs: 1}, 2); ok {
		t.Errorf("moves %+v", rel)
	}
}

// Every answer is true: the moved jobs fit where they go and the waiting one where they were. And where one
// move would do, some answer is found, which a search over all shows.
func TestRelocateIsTrue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var f fleet
		for range rapid.IntRange(1, 4).Draw(t, "sites") {
			f.add(site("n", rapid.IntRange(4, 24).Draw(t, "cpu"), []int{100, 100, 100}[:rapid.IntRange(0, 3).Draw(t, "gpus")]...))
		}
		for range rapid.IntRange(0, 14).Draw(t, "jobs") {
			r := small(t)
			i := rapid.IntRange(0, len(f.sites)-1).Draw(t, "at")
			if fits(f.sites[i], &r) {
				_, d := policy.BestFit{}.Score(f.sites[i], &r)
				f.start(i, d, r)
			}
		}
		r := small(t)
		if at, _ := f.Best(&r, -1, -1); at >= 0 {
			t.Skip("fits")
		}
		rel, ok := policy.Relocate(&f, &r, 2)
		if !ok {
			if i, tenant := oneMove(&f, &r); i >= 0 {
				t.Fatalf("no answer, but tenant %d of %d could move", tenant, i)
			}
			return
		}
		if n := len(rel.Moves); n < 1 || n > 2 || !f.carryOut(rel) || !fits(f.sites[rel.Site], &r) {
			t.Fatalf("%+v makes no room for %+v", rel, r)
		}
	})
}

func small(t *rapid.T) policy.Request {
	r := policy.Request{CPU: nexus.CPU(1000 * rapid.IntRange(0, 10).Draw(t, "cpu"))}
	switch rapid.IntRange(0, 2).Draw(t, "kind") {
	case 1:
		r.Share = nexus.MiB(100 * rapid.IntRange(1, 9).Draw(t, "share"))
	case 2:
		r.GPUs = rapid.IntRange(1, 3).Draw(t, "gpus")
	}
	return r
}

// oneMove tries every tenant that asks for less of the devices than the request.
func oneMove(f *fleet, r *policy.Request) (site, tenant int) {
	weight := func(r *policy.Request) int { return r.GPUs*1000 + int(r.Share) }
	for i := range f.sites {
		for k, was := range f.tenants[i] {
			if weight(&was.Request) >= weight(r) || was.Fixed {
				continue
			}
			if at, _ := f.Best(&was.Request, i, i); at < 0 {
				continue
			}
			trial := *f.sites[i]
			trial.GPUs = append([]policy.Device(nil), trial.GPUs...)
			trial.CPU, trial.Memory = trial.CPU+was.CPU, trial.Memory+was.Memory
			for _, d := range was.Devices {
				if trial.GPUs[d].Free += was.Share; was.Share == 0 {
					trial.GPUs[d].Free = trial.GPUs[d].Total
				}
			}
			if fits(&trial, r) {
				return i, k
			}
		}
	}
	return -1, -1
}
