package policy_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"ainexus.io/nexus"
	"ainexus.io/sched/policy"
)

// site draws a node: its free CPUs, what is free of each device in per cent, and the rest at leisure.
func site(name string, cpu int, percent ...int) policy.Site {
	s := policy.Site{Name: name, CPU: nexus.CPU(cpu * 1000), CPUTotal: 96000, Memory: 1 << 18, MemoryTotal: 1 << 18, Model: 1}
	for _, p := range percent {
		s.GPUs = append(s.GPUs, policy.Device{Free: nexus.MiB(p * 10), Total: 1000})
	}
	return s
}

func share(cpu, percent int) policy.Request {
	return policy.Request{CPU: nexus.CPU(cpu * 1000), Share: nexus.MiB(percent * 10)}
}

func whole(cpu, gpus int) policy.Request {
	return policy.Request{CPU: nexus.CPU(cpu * 1000), GPUs: gpus}
}

// pick is the site that wins, the first among equals, with the device.
func pick(sc policy.Scorer, r policy.Request, sites ...policy.Site) string {
	best, name, at := int64(0), "", 0
	for i := range sites {
		if score, device := sc.Score(&sites[i], &r); name == "" || score > best {
			best, name, at = score, sites[i].Name, device
		}
	}
	if r.Share > 0 {
		return fmt.Sprintf("%s/%d", name, at)
	}
	return name
}

var eights = []policy.Supply{{CPU: 96000, Memory: 1 << 18, Model: 1, GPUs: 8, Device: 1000, Count: 10}}

func TestBaselinesChoose(t *testing.T) {
	mix := []policy.Demand{
		{Request: share(4, 50), Count: 50}, {Request: whole(8, 1), Count: 40}, {Request: whole(64, 8), Count: 10},
	}
	for _, c := range []struct {
		name, why string
		r         policy.Request
		sites     []policy.Site
		want      string
	}{
		{policy.ByBestFit, "the fuller node, the tighter device", share(4, 30),
			[]policy.Site{site("a", 90, 100, 100), site("b", 20, 100, 40)}, "b/1"},
		{policy.ByBestFit, "too near to tell: the first", whole(4, 1),
			[]policy.Site{site("a", 20, 100, 100), site("b", 19, 100, 100)}, "a"},
		{policy.ByDotProd, "where less is free", whole(40, 4),
			[]policy.Site{site("a", 90, 100, 100, 100, 100, 100, 100), site("b", 50, 100, 100, 100, 100)}, "b"},
		{policy.ByPacking, "a shared device before an idle one", share(4, 30),
			[]policy.Site{site("a", 90, 100, 100), site("b", 90, 0, 100), site("c", 90, 100, 60)}, "c/1"},
		{policy.ByPacking, "a node in use before an idle one", whole(4, 1),
			[]policy.Site{site("a", 90, 100, 100), site("b", 90, 60, 100)}, "b"},
		{policy.ByPacking, "of idle nodes the smaller", whole(4, 1),
			[]policy.Site{site("a", 90, 100, 100, 100), site("b", 90, 100, 100)}, "b"},
		{policy.ByClustering, "a share to the shares", share(4, 30),
			[]policy.Site{site("a", 90, 0, 100), site("b", 90, 100, 100), site("c", 90, 60, 100)}, "c/0"},
		{policy.ByClustering, "a whole device to its kind", whole(4, 1),
			[]policy.Site{site("a", 90, 60, 100), site("b", 90, 100, 100), site("c", 90, 0, 100)}, "c"},
		{policy.ByFGD, "a half fills a half and leaves the whole device", share(4, 50),
			[]policy.Site{site("a", 90, 100, 100), site("b", 90, 50, 100)}, "b/0"},
		{policy.ByFGD, "the node that is broken already, not the last for eight", whole(8, 1),
			[]policy.Site{site("a", 96, 100, 100, 100, 100, 100, 100, 100, 100), site("b", 96, 0, 100, 100, 100, 100, 100, 100, 100)}, "b"},
		{policy.ByWorth, "a half fills a half and leaves the whole device", share(4, 50),
			[]policy.Site{site("a", 90, 100, 100), site("b", 90, 100, 50)}, "b/1"},
		{policy.ByWorth, "the node that is broken already, not the last for eight", whole(8, 1),
			[]policy.Site{site("a", 96, 100, 100, 100, 100, 100, 100, 100, 100), site("b", 96, 0, 100, 100, 100, 100, 100, 100, 100)}, "b"},
		{policy.ByWorth, "no processors for many devices", policy.Request{CPU: 32000},
			[]policy.Site{site("a", 40, 100, 100, 100, 100), site("b", 40, 0, 0, 0, 100)}, "b"},
	} {
		sc, err := policy.NewScorer(c.name, 1, mix, eights)
		if err != nil {
			t.Fatal(err)
		}
		if got := pick(sc, c.r, c.sites...); got != c.want {
			t.Errorf("%s: %s: got %s, want %s", c.name, c.why, got, c.want)
		}
	}
}

func TestWorthSparesTheScarceModel(t *testing.T) {
	supply := []policy.Supply{
		{CPU: 96000, Memory: 1 << 18, Model: 1, GPUs: 8, Device: 1000, Count: 10},
		{CPU: 96000, Memory: 1 << 18, Model: 2, GPUs: 8, Device: 1000, Count: 1},
	}
	bound := whole(8, 1)
	bound.Models = 1 << 2
	w := policy.NewWorth([]policy.Demand{{Request: whole(8, 1), Count: 90}, {Request: bound, Count: 10}}, supply)
	rare, plain := site("a", 50, 0, 0, 0, 0, 0, 100, 100, 100), site("b", 90, 100, 100, 100, 100, 100, 100, 100, 100)
	rare.Model = 2
	if got := pick(w, whole(8, 1), rare, plain); got != "b" {
		t.Errorf("a job that can go anywhere took the scarce model: %s", got)
	}
}

func TestScorersByName(t *testing.T) {
	for _, name := range append(policy.Scorers(), "") {
		if _, err := policy.NewScorer(name, 1, nil, nil); err != nil {
			t.Error(err)
		}
	}
	if _, err := policy.NewScorer("fdg", 1, nil, nil); err == nil {
		t.Error("an unknown name was taken")
	}
}

func drawRequest(t *rapid.T, label string) policy.Request {
	r := policy.Request{CPU: nexus.CPU(rapid.IntRange(0, 40000).Draw(t, label+" cpu")), Memory: nexus.MiB(rapid.IntRange(0, 9999).Draw(t, label+" memory"))}
	switch rapid.IntRange(0, 3).Draw(t, label+" kind") {
	case 1:
		r.Share = nexus.MiB(rapid.IntRange(1, 81920).Draw(t, label+" share"))
	case 2, 3:
		r.GPUs = rapid.IntRange(1, 10).Draw(t, label+" gpus")
	}
	if rapid.Bool().Draw(t, label+" picky") {
		r.Models = uint64(rapid.IntRange(0, 15).Draw(t, label+" models"))
	}
	return r
}

func drawSite(t *rapid.T) policy.Site {
	s := policy.Site{Name: "n", CPUTotal: 128000, MemoryTotal: 1 << 20}
	s.CPU = nexus.CPU(rapid.IntRange(0, 128000).Draw(t, "cpu"))
	s.Memory = nexus.MiB(rapid.IntRange(0, 1<<20).Draw(t, "memory"))
	if n := rapid.IntRange(0, 16).Draw(t, "gpus"); n > 0 {
		s.Model = rapid.IntRange(1, 63).Draw(t, "model")
		for range n {
			total := rapid.SampledFrom([]int{0, 1000, 15360, 40960, 81559}).Draw(t, "total")
			free := rapid.SampledFrom([]int{0, total, total / 2, rapid.IntRange(0, total).Draw(t, "free")}).Draw(t, "left")
			s.GPUs = append(s.GPUs, policy.Device{Free: nexus.MiB(free), Total: nexus.MiB(total)})
		}
	}
	return s
}

// fits is what a caller of Score has checked.
func fits(s *policy.Site, r *policy.Request) bool {
	idle, roomy := 0, r.Share == 0
	for _, d := range s.GPUs {
		if d.Free == d.Total && d.Total > 0 {
			idle++
		}
		roomy = roomy || d.Free >= r.Share
	}
	bound := r.Models != 0 && (r.GPUs > 0 || r.Share > 0) && r.Models>>s.Model&1 == 0
	return s.CPU >= r.CPU && s.Memory >= r.Memory && idle >= r.GPUs && roomy && !bound
}

// Whatever the mix, the cluster and the node: the device holds the share, the answer depends on nothing
// but the arguments, these stay as they were, and nothing is allocated.
func TestScoresKeepTheirPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var mix []policy.Demand
		for range rapid.IntRange(0, 12).Draw(t, "mix") {
			mix = append(mix, policy.Demand{Request: drawRequest(t, "demand"), Count: int64(rapid.IntRange(1, 500).Draw(t, "count"))})
		}
		var supply []policy.Supply
		for range rapid.IntRange(0, 4).Draw(t, "supply") {
			supply = append(supply, policy.Supply{
				CPU: nexus.CPU(rapid.IntRange(1, 256000).Draw(t, "cpu")), Memory: 1 << 20, Model: rapid.IntRange(0, 4).Draw(t, "model"),
				GPUs: rapid.IntRange(0, 8).Draw(t, "gpus"), Device: nexus.MiB(rapid.SampledFrom([]int{1000, 40960, 81559}).Draw(t, "device")),
				Count: int64(rapid.IntRange(1, 100).Draw(t, "count")),
			})
		}
		s, r := drawSite(t), drawRequest(t, "request")
		if !fits(&s, &r) {
			t.Skip("does not fit")
		}
		before := fmt.Sprint(s, r)
		for _, name := range policy.Scorers() {
			one, _ := policy.NewScorer(name, 7, mix, supply)
			two, _ := policy.NewScorer(name, 7, mix, supply)
			score, device := one.Score(&s, &r)
			other, same := two.Score(&s, &r)
			if score != other || device != same {
				t.Fatalf("%s: %d on %d, then %d on %d", name, score, device, other, same)
			}
			if r.Share > 0 && (device < 0 || s.GPUs[device].Free < r.Share) || r.Share == 0 && device != -1 {
				t.Fatalf("%s: device %d for %+v of %+v", name, device, r, s)
			}
			if after := fmt.Sprint(s, r); after != before {
				t.Fatalf("%s changed its arguments: %s", name, after)
			}
		}
	})
}

func TestScoresAllocateNothing(t *testing.T) {
	mix := []policy.Demand{{Request: share(4, 47), Count: 50}, {Request: whole(8, 1), Count: 40}}
	s, r := site("a", 90, 100, 53, 19, 100), share(4, 16)
	for _, name := range policy.Scorers() {
		sc, _ := policy.NewScorer(name, 1, mix, eights)
		if n := testing.AllocsPerRun(100, func() { sc.Score(&s, &r) }); n > 0 {
			t.Errorf("%s allocates %.0f times", name, n)
		}
	}
}
